#!/bin/sh
# A real Slurm cluster on this one machine, for tests: several nodes, each its own slurmd.
#
#   scripts/slurm-testbed.sh start [N]   start it with N nodes (default 2); where it runs, nothing
#   scripts/slurm-testbed.sh stop        end it and all that it started
#   scripts/slurm-testbed.sh node NAME   start one node's slurmd again
#   scripts/slurm-testbed.sh kill NAME   kill one node: its slurmd and the jobs on it
#
# Debian and Ubuntu, as root. The cluster listens on loopback alone and lies in LEM_SLURM_DIR
# (default /var/tmp/lem-slurm); commands find it by SLURM_CONF=$LEM_SLURM_DIR/slurm.conf.
set -eu

DIR=${LEM_SLURM_DIR:-/var/tmp/lem-slurm}
PORT=${LEM_SLURM_PORT:-16817}
export SLURM_CONF="$DIR/slurm.conf"

say() { echo "slurm-testbed: $*" >&2; }
fail() {
    say "$1"
    [ $# -lt 2 ] || say "fix: $2"
    exit 3
}

# What lies there is run and removed as root, and anyone may make a folder in /var/tmp.
check_owner() {
    if [ -L "$DIR" ] || { [ -e "$DIR" ] && [ ! -d "$DIR" ]; }; then
        fail "$DIR is no folder" "remove it, or set LEM_SLURM_DIR"
    fi
    [ -d "$DIR" ] || return 0
    [ "$(stat -c %u "$DIR")" = "$(id -u)" ] ||
        fail "$DIR is not yours" "remove it, or set LEM_SLURM_DIR"
    [ -z "$(find "$DIR" -maxdepth 0 -perm /022)" ] ||
        fail "others can write to $DIR" "remove it, or set LEM_SLURM_DIR"
}

packages() {
    command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v munged >/dev/null &&
        return 0
    [ "$(id -u)" = 0 ] || fail "Slurm is not installed" "sudo apt-get install -y slurm-wlm munge"
    say "installing slurm-wlm munge"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge \
        >&2 || {
        apt-get update -qq >&2
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm \
            munge >&2
    } || fail "slurm-wlm and munge could not be installed" "see the messages of apt-get above"
}

munge_answers() { munge -n 2>/dev/null | unmunge >/dev/null 2>&1; }

start_munge() {
    munge_answers && return 0
    [ -s /etc/munge/munge.key ] || mungekey --create --force
    chown munge:munge /etc/munge/munge.key
    chmod 400 /etc/munge/munge.key
    install -d -o munge -g munge -m 755 /run/munge
    install -d -o munge -g munge -m 700 /var/log/munge /var/lib/munge
    setpriv --reuid=munge --regid=munge --clear-groups munged --force
    waited=0
    until munge_answers; do
        waited=$((waited + 1))
        [ $waited -le 100 ] || fail "munged does not answer" "see /var/log/munge/munged.log"
        sleep 0.1
    done
}

write_configuration() {
    host=$(hostname -s)
    # The folder itself without -p: it fails where somebody was faster.
    mkdir -p "$(dirname "$DIR")"
    mkdir -m 755 "$DIR"
    mkdir "$DIR/state" "$DIR/log" "$DIR/run" "$DIR/dev" "$DIR/spool"
    {
        cat <<EOF
ClusterName=lemtest
SlurmctldHost=$host(127.0.0.1)
SlurmctldParameters=enable_configless
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# A credential that outlives its node would keep a job from being queued again.
AuthInfo=cred_expire=5
SlurmctldPort=$PORT
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool/%n
SlurmctldPidFile=$DIR/run/slurmctld.pid
SlurmdPidFile=$DIR/run/slurmd-%n.pid
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdLogFile=$DIR/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
MaxArraySize=10001
MaxJobCount=20000
ReturnToService=2
MailProg=/bin/true
MpiDefault=none
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobRequeue=1
MinJobAge=300
SlurmdTimeout=5
SlurmctldTimeout=10
KillWait=5
InactiveLimit=0
Waittime=0
SlurmdParameters=config_overrides
GresTypes=gpu
EOF
        i=1
        while [ $i -le "$1" ]; do
            echo "NodeName=n$i NodeHostname=$host NodeAddr=127.0.0.1 Port=$((PORT + 100 + i))" \
                "CPUs=2 Boards=1 SocketsPerBoard=1 CoresPerSocket=2 ThreadsPerCore=1" \
                "RealMemory=8000 Gres=gpu:fake:2 State=UNKNOWN"
            i=$((i + 1))
        done
        echo "PartitionName=debug Nodes=n[1-$1] Default=YES MaxTime=INFINITE State=UP"
        echo "PartitionName=other Nodes=n[1-$1] MaxTime=INFINITE State=UP"
    } >"$SLURM_CONF"
    # Devices that do nothing stand for GPUs: they are counted and given away as GPUs are.
    for k in 0 1; do
        [ -c "$DIR/dev/nvidia$k" ] || mknod "$DIR/dev/nvidia$k" c 1 3
    done
    i=1
    : >"$DIR/gres.conf"
    while [ $i -le "$1" ]; do
        echo "NodeName=n$i Name=gpu Type=fake File=$DIR/dev/nvidia[0-1]" >>"$DIR/gres.conf"
        mkdir "$DIR/spool/n$i"
        i=$((i + 1))
    done
}

up() { [ "$(sinfo -h -o '%D' -t idle,mix,alloc 2>/dev/null | head -n 1)" = "$1" ]; }

start() {
    packages
    [ "$(id -u)" = 0 ] || fail "a cluster of one's own needs root"
    start_munge
    if [ -f "$SLURM_CONF" ] && up "$1"; then return 0; fi
    stop
    write_configuration "$1"
    slurmctld -i
    i=1
    while [ $i -le "$1" ]; do
        slurmd -N "n$i"
        i=$((i + 1))
    done
    waited=0
    until up "$1"; do
        waited=$((waited + 1))
        if [ $waited -gt 150 ]; then
            tail -n 20 "$DIR/log/"*.log >&2
            fail "the cluster does not come up" "see $DIR/log"
        fi
        sleep 0.2
    done
}

# The process of a pid file, and what it started: slurmd's job steps are its children's.
end() {
    [ -f "$1" ] || return 0
    pid=$(cat "$1")
    kill -KILL "$pid" 2>/dev/null || true
    rm -f "$1"
}

# Steps belong to no slurmd any more once it is gone; their sockets' folder names their node.
end_steps() {
    for p in $(pgrep -f "^slurmstepd: " || true); do
        if tr '\0' '\n' <"/proc/$p/environ" 2>/dev/null | grep -q "^SLURM_CONF=$DIR/" ||
            ls -l "/proc/$p/fd" 2>/dev/null | grep -q "$DIR/"; then
            pkill -KILL -P "$p" 2>/dev/null || true
            kill -KILL "$p" 2>/dev/null || true
        fi
    done
}

stop() {
    [ -d "$DIR" ] || return 0
    if [ -f "$SLURM_CONF" ]; then scancel --state=RUNNING --quiet --me 2>/dev/null || true; fi
    for f in "$DIR"/run/slurmd-*.pid "$DIR/run/slurmctld.pid"; do end "$f"; done
    end_steps
    rm -rf "$DIR"
}

check_owner
case "${1:-start}" in
start) start "${2:-2}" ;;
stop) stop ;;
node) slurmd -N "$2" ;;
kill) end "$DIR/run/slurmd-$2.pid" ;;
*) fail "unknown command $1" "start [N], stop, node NAME, kill NAME" ;;
esac
