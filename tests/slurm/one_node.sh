#!/bin/sh
# Starts a Slurm cluster of one node, this machine, for the tests. Only root can, with Debian's packages
# slurm-wlm and munge. All its files lie in one folder.
#
#   tests/slurm/one_node.sh start FOLDER   prints what to export: SLURM_CONF
#   tests/slurm/one_node.sh stop FOLDER
#
# Partitions: `main` (the default), and `urgent`, whose jobs pre-empt those of `main`. The node offers
# four cores, whatever it has, so that tests with two workers run anywhere.
set -eu
action=$1
folder=$2

stop() {
    for name in slurmd slurmctld munged; do
        if [ -s "$folder/$name.pid" ]; then
            pid=$(cat "$folder/$name.pid")
            kill "$pid" 2>/dev/null || true
            n=0
            while kill -0 "$pid" 2>/dev/null && [ "$n" -lt 20 ]; do
                n=$((n + 1))
                sleep 0.25
            done
        fi
    done
}

if [ "$action" = stop ]; then
    SLURM_CONF=$folder/slurm.conf
    export SLURM_CONF
    n=0
    while [ -n "$(squeue --noheader 2>/dev/null)" ] && [ "$n" -lt 40 ]; do
        scancel --me --full --signal=KILL 2>/dev/null || true
        scancel --me 2>/dev/null || true
        n=$((n + 1))
        sleep 0.5
    done
    stop
    exit 0
fi

mkdir -p "$folder/state" "$folder/spool"
chmod 755 "$folder"
key=$folder/munge.key
(umask 077 && head -c 1024 /dev/urandom > "$key")
socket=$folder/munge.socket
munged --force --key-file="$key" --socket="$socket" --pid-file="$folder/munged.pid" \
    --log-file="$folder/munged.log" --seed-file="$folder/munged.seed"

host=$(hostname -s)
port=$(( 20000 + $$ % 20000 ))
cat > "$folder/slurm.conf" <<END
ClusterName=one_node
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$socket
CryptoType=crypto/munge
SlurmctldPort=$port
SlurmdPort=$((port + 1))
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=1,sched_min_interval=0
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
KillWait=2
InactiveLimit=0
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=60 PriorityTier=1 GraceTime=0
PartitionName=urgent Nodes=$host MaxTime=60 PriorityTier=10
END
export SLURM_CONF=$folder/slurm.conf
slurmctld -c
slurmd
n=0
until [ "$(sinfo --noheader --partition=main --format=%T 2>/dev/null)" = idle ]; do
    n=$((n + 1))
    if [ "$n" -gt 60 ]; then
        echo "one_node.sh: expected the node to become idle, got: $(sinfo 2>&1 | tail -1)" >&2
        stop
        exit 1
    fi
    sleep 0.5
done
echo "SLURM_CONF=$SLURM_CONF"
