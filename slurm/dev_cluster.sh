#!/usr/bin/env bash
# A real Slurm on one machine, for trying sweeps and for the tests.  See slurm/README.md.
set -euo pipefail

STATE=${HW5HPC_DEV_CLUSTER:-$HOME/.cache/hw5hpc/dev_cluster}
STATE=$(realpath -m -- "$STATE")
PORT_BASE=${HW5HPC_DEV_PORT_BASE:-16810}
NODES=(n1 n2 n3 n4)
PACKAGES=(slurm-wlm slurmctld slurmd slurmdbd slurm-client munge mariadb-server)
COMMANDS=(munged mungekey mariadbd mariadb mariadb-install-db slurmdbd slurmctld slurmd
          sinfo squeue sacct sacctmgr scontrol scancel)

DB_PORT=$PORT_BASE
CTLD_PORT=$((PORT_BASE + 1))
DBD_PORT=$((PORT_BASE + 2))
SLURMD_PORT=$((PORT_BASE + 11))                  # the first of four
LAST_SLURMD_PORT=$((SLURMD_PORT + ${#NODES[@]} - 1))

MUNGE_SOCKET=$STATE/run/munge.socket
DB_SOCKET=$STATE/run/mariadb.socket
HOSTS_MARK="# hw5hpc dev cluster $STATE"

export PATH=$PATH:/usr/sbin:/sbin                # where Debian keeps the daemons
unset "${!SLURM_@}" "${!SBATCH_@}" "${!SQUEUE_@}" "${!SINFO_@}" "${!SACCT_@}"
export SLURM_CONF=$STATE/slurm.conf              # slurmdbd too looks beside this file

usage() {
    cat <<TEXT
usage: slurm/dev_cluster.sh up|down|status|env|stop-node N|start-node N|restart-controller

  up      start a private Slurm: 4 nodes (n1..n4), each 2 CPUs and 2 pretend GPUs,
          partitions main (default, preemptable) and urgent, accounting for sacct.
          Safe to repeat: starts only what does not run.
  down    cancel its jobs and stop the daemons it started; state and history stay on disk
  status  show nodes and jobs; exit status 0 if the cluster is up, 1 if not
  env     print the line that points sbatch, squeue, sacct ... at this cluster

  For trying what happens then: stop-node n2 and start-node n2 stop and start one node's
  slurmd (its jobs' processes live on), restart-controller does both with slurmctld.

HW5HPC_DEV_CLUSTER    state directory (now $STATE)
HW5HPC_DEV_PORT_BASE  first port on 127.0.0.1 (now $PORT_BASE; uses up to $LAST_SLURMD_PORT)
TEXT
}

say() { printf 'dev_cluster: %s\n' "$*"; }
die() { printf 'dev_cluster: %s\n' "$1" >&2; exit "${2:-1}"; }
is_root() { [[ $EUID -eq 0 ]]; }

wait_until() {                                   # wait_until SECONDS WHAT COMMAND...
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || die "gave up waiting for $what; the logs are in $STATE/log"
        sleep 0.1
    done
}

# ---- packages ------------------------------------------------------------------------

missing_commands() {
    local command
    for command in "${COMMANDS[@]}"; do
        command -v "$command" >/dev/null || printf '%s ' "$command"
    done
}

ensure_packages() {
    local missing
    missing=$(missing_commands)
    [[ -n $missing ]] || return 0
    is_root || die "missing: ${missing}- ask the administrator for: apt-get install ${PACKAGES[*]}" 2
    command -v apt-get >/dev/null || die "missing: ${missing}- and this is not Debian; install Slurm, munge and MariaDB" 2
    install_packages
    missing=$(missing_commands)
    [[ -z $missing ]] || die "still missing after the install: $missing" 2
}

install_packages() (                             # a subshell, so that the trap ends with it
    guard=/usr/sbin/policy-rc.d                  # Debian starts services unless this says no
    if [[ ! -e $guard ]]; then
        trap 'rm -f "$guard"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$guard"
        chmod 755 "$guard"
    fi
    say "installing ${PACKAGES[*]} (log: $STATE/log/apt.log)"
    export DEBIAN_FRONTEND=noninteractive
    apt_install >"$STATE/log/apt.log" 2>&1 9>&- || {
        tail -n 5 "$STATE/log/apt.log" >&2
        die "apt-get failed; see $STATE/log/apt.log" 2
    }
)

apt_install() {
    local options=(-y -o DPkg::Lock::Timeout=300 --no-install-recommends)
    apt-get "${options[@]}" install "${PACKAGES[@]}" && return
    apt-get update && apt-get "${options[@]}" install "${PACKAGES[@]}"
}

# ---- our own processes ---------------------------------------------------------------

# A pid file may be stale and its number reused: a pid counts as ours only if the process
# has the right name and carries our state directory in its arguments or environment.
is_ours() {                                      # is_ours PID NAME
    local pid=$1 name=$2
    [[ $pid =~ ^[0-9]+$ && -r /proc/$pid/cmdline ]] || return 1
    [[ $(cat "/proc/$pid/comm" 2>/dev/null) == "$name" ]] || return 1
    tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$STATE/" && return
    tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | grep -qxF -- "SLURM_CONF=$SLURM_CONF"
}

pid_of() { cat "$STATE/run/$1.pid" 2>/dev/null || true; }
program_of() { printf '%s' "${1%%-*}"; }         # slurmd-n1 -> slurmd
running() { is_ours "$(pid_of "$1")" "$(program_of "$1")"; }
stopped() { ! running "$1"; }

daemons() {                                      # in starting order
    printf '%s\n' munged mariadbd slurmdbd slurmctld "${NODES[@]/#/slurmd-}"
}

start() {                                        # start DAEMON COMMAND...; no-op if it runs
    local daemon=$1
    shift
    running "$daemon" && return
    rm -f "$STATE/run/$daemon.pid"
    # Own session, no inherited files: a pipe or the lock (9) held open would hang the caller.
    setsid "$@" >>"$STATE/log/$daemon.out" 2>&1 </dev/null 9>&- &
    wait_until 30 "$daemon to start" running "$daemon"
}

stop() {                                         # stop DAEMON; no-op if it does not run
    local daemon=$1 pid
    pid=$(pid_of "$daemon")
    if running "$daemon"; then
        kill -TERM "$pid" 2>/dev/null || true
        wait_stopped "$daemon" 150 || kill -KILL "$pid" 2>/dev/null || true
        wait_stopped "$daemon" 50 || die "$daemon (pid $pid) does not end"
    fi
    rm -f "$STATE/run/$daemon.pid"
}

wait_stopped() {                                 # wait_stopped DAEMON TENTHS
    local tenths
    for ((tenths = 0; tenths < $2; tenths++)); do
        stopped "$1" && return
        sleep 0.1
    done
    return 1
}

port_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

need_port() {                                    # need_port DAEMON PORT
    running "$1" || port_free "$2" ||
        die "port $2 is taken by another program; set HW5HPC_DEV_PORT_BASE to a free range"
}

# ---- configuration -------------------------------------------------------------------

# Slurm can listen on one address only: the one the machine's name stands for.  Mostly that
# is 127.0.0.1 or Debian's 127.0.1.1; where it is not, Slurm listens on all addresses, and
# the private munge key keeps others out.
host_address() { getent ahostsv4 "$(hostname)" | awk '{ print $1; exit }'; }
loopback() { if [[ $(host_address) == 127.* ]]; then host_address; else echo 127.0.0.1; fi; }
listening() { if [[ $(host_address) == 127.* ]]; then echo "CommunicationParameters=$1"; fi; }

slurm_conf() {
    local user address
    user=$(id -un)
    address=$(loopback)
    cat <<CONF
# Written by slurm/dev_cluster.sh up; edit that instead.
ClusterName=hw5hpc_dev
SlurmctldHost=$(hostname -s)($address)
SlurmctldPort=$CTLD_PORT
SlurmUser=$user
SlurmdUser=$user
$(listening NoCtldInAddrAny,NoInAddrAny)
StateSaveLocation=$STATE/state
SlurmdSpoolDir=$STATE/spool/%n
SlurmctldPidFile=$STATE/run/slurmctld.pid
SlurmdPidFile=$STATE/run/slurmd-%n.pid
SlurmctldLogFile=$STATE/log/slurmctld.log
SlurmdLogFile=$STATE/log/slurmd-%n.log

# cred_expire is also how long a requeued job must wait before it may start (default 120 s).
AuthType=auth/munge
AuthInfo=socket=$MUNGE_SOCKET,cred_expire=5
CredType=cred/munge

# No systemd and no cgroups: plain processes.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=5
PropagateResourceLimits=NONE
MpiDefault=none
SwitchType=switch/none
MailProg=/bin/true

# Quick decisions, for quick tests.
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=2048
MaxArraySize=1001
EnforcePartLimits=ALL
JobRequeue=1
KillWait=10
CompleteWait=0
MinJobAge=300
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=60
MessageTimeout=20
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE

AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=$address
AccountingStoragePort=$DBD_PORT
AccountingStorageTRES=gres/gpu
# Clients of slurmdbd take the munge socket from here, and not from AuthInfo.
AccountingStoragePass=$MUNGE_SOCKET
AccountingStoreFlags=job_comment

# Nodes may claim more than this machine has.
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=n[1-4] NodeHostname=$(hostname -s) NodeAddr=$address Port=[$SLURMD_PORT-$LAST_SLURMD_PORT] CPUs=2 Boards=1 SocketsPerBoard=1 CoresPerSocket=2 ThreadsPerCore=1 RealMemory=8192 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes=n[1-4] Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=10 DefaultTime=00:30:00 MaxTime=1-00:00:00
PartitionName=urgent Nodes=n[1-4] PriorityTier=10 PreemptMode=OFF DefaultTime=00:30:00 MaxTime=1-00:00:00
CONF
}

slurmdbd_conf() {
    cat <<CONF
# Written by slurm/dev_cluster.sh up; edit that instead.
DbdHost=$(hostname -s)
DbdAddr=$(loopback)
$(listening NoInAddrAny)
DbdPort=$DBD_PORT
SlurmUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$MUNGE_SOCKET
PidFile=$STATE/run/slurmdbd.pid
LogFile=$STATE/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$DB_PORT
StorageUser=slurm
StoragePass=$(cat "$STATE/db_password")
StorageLoc=slurm
CONF
}

gres_conf() {
    # Slurm wants a file for each GPU; the flag makes it set CUDA_VISIBLE_DEVICES.
    echo "NodeName=n[1-4] Name=gpu File=$STATE/gpu[0-1] Flags=nvidia_gpu_env"
}

cgroup_conf() { echo "CgroupPlugin=cgroup/v1"; }  # with "disabled" slurmd refuses to start

write_configuration() {
    [[ -e $STATE/db_password ]] || (umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$STATE/db_password")
    ln -sfn /dev/null "$STATE/gpu0"              # the pretend GPUs: Slurm wants devices
    ln -sfn /dev/zero "$STATE/gpu1"
    mkdir -p "${NODES[@]/#/$STATE/spool/}"
    write slurm.conf 644 "$(slurm_conf)"
    write slurmdbd.conf 600 "$(slurmdbd_conf)"
    write gres.conf 644 "$(gres_conf)"
    write cgroup.conf 644 "$(cgroup_conf)"
}

write() {                                        # write NAME MODE TEXT, at once or not at all
    local file=$STATE/$1
    (umask 077 && printf '%s\n' "$3" >"$file.new")
    chmod "$2" "$file.new"
    mv "$file.new" "$file"
}

configuration_changed() {                        # daemons that run on another configuration?
    [[ -e $STATE/slurm.conf ]] || return
    local written
    written=$(cat "$STATE"/{slurm,slurmdbd,gres,cgroup}.conf 2>/dev/null || true)
    [[ $written != "$(slurm_conf; slurmdbd_conf; gres_conf; cgroup_conf)" ]]
}

prepare_state() {
    ((${#DB_SOCKET} < 100)) || die "the path of the state directory is too long for a socket: $STATE"
    [[ $STATE != *[[:space:]]* ]] || die "the path of the state directory has a space: $STATE"
    mkdir -p "$STATE"
    chmod 700 "$STATE"
    mkdir -p "$STATE"/{log,run,spool,state,munge}
}

# torch.distributed connects to Slurm's node names, so they must mean this machine.
add_host_names() {
    local line="127.0.0.1 ${NODES[*]} $HOSTS_MARK"
    grep -qxF -- "$line" /etc/hosts && return
    if is_root; then
        [[ -z $(tail -c 1 /etc/hosts) ]] || echo >>/etc/hosts
        echo "$line" >>/etc/hosts
    elif ! getent hosts "${NODES[0]}" >/dev/null; then
        say "note: jobs on several nodes need this line in /etc/hosts: 127.0.0.1 ${NODES[*]}"
    fi
}

remove_host_names() {
    is_root && grep -qF -- "$HOSTS_MARK" /etc/hosts || return 0
    local rest
    rest=$(awk -v mark="$HOSTS_MARK" \
        'substr($0, length($0) - length(mark) + 1) != mark' /etc/hosts)
    printf '%s\n' "$rest" >/etc/hosts            # in place: containers mount this file
}

# ---- the daemons ---------------------------------------------------------------------

start_munged() {
    [[ -e $STATE/munge/key ]] || mungekey --create --keyfile="$STATE/munge/key"
    running munged || rm -f "$MUNGE_SOCKET" "$MUNGE_SOCKET.lock"
    # --force: the socket lies in a private directory, which munged otherwise refuses.
    start munged munged --force --key-file="$STATE/munge/key" --socket="$MUNGE_SOCKET" \
        --pid-file="$STATE/run/munged.pid" --log-file="$STATE/log/munged.log" \
        --seed-file="$STATE/munge/seed" --num-threads=2
    wait_until 20 "munge" munge --socket="$MUNGE_SOCKET" --no-input
}

# --no-defaults: the machine's own MariaDB settings are not ours.
start_mariadb() {
    need_port mariadbd "$DB_PORT"
    [[ -e $STATE/db/ready ]] || create_database_files
    start mariadbd mariadbd --no-defaults --user="$(id -un)" --datadir="$STATE/db" \
        --socket="$DB_SOCKET" --bind-address=127.0.0.1 --port="$DB_PORT" \
        --pid-file="$STATE/run/mariadbd.pid" --log-error="$STATE/log/mariadbd.log" \
        --innodb-buffer-pool-size=64M --innodb-log-file-size=16M --innodb-lock-wait-timeout=900 \
        --innodb-flush-log-at-trx-commit=0 --skip-log-bin --performance-schema=OFF
    wait_until 60 "MariaDB" database -e "SELECT 1"
    create_database_user
}

database() { mariadb --no-defaults --socket="$DB_SOCKET" --user="$(id -un)" "$@"; }

create_database_files() {
    running mariadbd && return
    rm -rf "$STATE/db"
    mariadb-install-db --no-defaults --datadir="$STATE/db" --user="$(id -un)" \
        --auth-root-authentication-method=socket --auth-root-socket-user="$(id -un)" \
        --skip-test-db --innodb-log-file-size=16M >"$STATE/log/mariadb-install-db.log" 2>&1 9>&- ||
        die "could not create the database; see $STATE/log/mariadb-install-db.log"
    touch "$STATE/db/ready"                      # last, so that a half-made one is made again
}

create_database_user() {
    local password
    password=$(cat "$STATE/db_password")
    database <<SQL
CREATE DATABASE IF NOT EXISTS slurm;
CREATE USER IF NOT EXISTS slurm@'127.0.0.1' IDENTIFIED BY '$password';
CREATE USER IF NOT EXISTS slurm@'localhost' IDENTIFIED BY '$password';
GRANT ALL ON slurm.* TO slurm@'127.0.0.1';
GRANT ALL ON slurm.* TO slurm@'localhost';
SQL
}

start_slurmdbd() {
    need_port slurmdbd "$DBD_PORT"
    start slurmdbd slurmdbd
    wait_until 60 "slurmdbd" sacctmgr -n list cluster
    [[ -n $(sacctmgr -nP list cluster hw5hpc_dev format=cluster) ]] ||
        sacctmgr -iQ add cluster hw5hpc_dev >/dev/null
}

start_slurmctld() {
    need_port slurmctld "$CTLD_PORT"
    start slurmctld slurmctld -f "$SLURM_CONF"
    wait_until 60 "slurmctld" scontrol ping
}

start_slurmd() {                                 # start_slurmd INDEX
    need_port "slurmd-${NODES[$1]}" $((SLURMD_PORT + $1))
    start "slurmd-${NODES[$1]}" slurmd -N "${NODES[$1]}" -f "$SLURM_CONF"
}

start_slurmds() {
    local i
    for i in "${!NODES[@]}"; do start_slurmd "$i"; done
}

# A node whose daemon was killed, or whose job would not die, is out until told otherwise.
resume_nodes() {
    local bad
    bad=$(sinfo -h -N -t down,drain,fail -o %N | sort -u | paste -sd,)
    [[ -z $bad ]] || scontrol update NodeName="$bad" State=RESUME 2>/dev/null || true
}

nodes_ready() {                                  # all answer: idle, or at work for someone
    local states
    states=$(sinfo -h -N -p main -o %T)
    [[ $(grep -cxE 'idle|mixed|allocated|completing' <<<"$states") -eq ${#NODES[@]} ]]
}

nodes_brought_back() { resume_nodes && nodes_ready; }
sacct_answers() { sacct -n -X -S now-1minute; }

all_running() {
    local daemon
    for daemon in $(daemons); do running "$daemon" || return; done
}

is_up() {
    [[ -z $(missing_commands) ]] && all_running && nodes_ready && sacct_answers
}

end_jobs() {                                     # before their nodes go away
    running slurmctld || return 0
    timeout 10 scancel --me 2>/dev/null || return 0
    local tenths
    for ((tenths = 0; tenths < 150; tenths++)); do
        [[ -n $(timeout 5 squeue -h --me -t running,completing -o %i 2>/dev/null) ]] || return 0
        sleep 0.1
    done
}

# What daemons leave behind that were killed at work: the keepers of jobs, copies of slurmd
# that were about to become one, and the jobs' own processes.
end_leftovers() {
    local process pid name
    for process in /proc/[0-9]*; do
        pid=${process#/proc/}
        name=$(cat "$process/comm" 2>/dev/null) || continue
        if [[ $name == slurmd || $name == slurmstepd ]] || in_a_job "$pid"; then
            is_ours "$pid" "$name" && kill -KILL "$pid" 2>/dev/null || true
        fi
    done
}

in_a_job() { tr '\0' '\n' 2>/dev/null <"/proc/$1/environ" | grep -q '^SLURM_JOB_ID='; }

# ---- commands ------------------------------------------------------------------------

lock() {                                         # one up or down at a time
    mkdir -p "$STATE"
    exec 9>"$STATE/lock"
    flock -w 300 9 || die "another dev_cluster.sh has held $STATE/lock for 5 minutes"
}

up() {
    lock
    prepare_state
    ensure_packages
    if configuration_changed; then stop_all; fi
    write_configuration
    add_host_names
    start_munged
    start_mariadb
    start_slurmdbd
    start_slurmctld
    start_slurmds
    wait_until 60 "the nodes" nodes_brought_back
    wait_until 60 "sacct" sacct_answers
    say "up: ${#NODES[@]} nodes, 2 pretend GPUs each.  To use sbatch, squeue and sacct, type:"
    echo "export SLURM_CONF=$SLURM_CONF"
}

stop_all() {
    local daemon
    end_jobs
    for daemon in $(daemons | tac); do stop "$daemon"; done
    end_leftovers
}

down() {
    [[ -d $STATE ]] || { say "not up"; return; }
    lock
    stop_all
    remove_host_names
    say "down; state and history stay in $STATE"
}

node_index() {                                   # node_index NAME: its place in NODES
    local i
    for i in "${!NODES[@]}"; do
        if [[ ${NODES[i]} == "${1:-}" ]]; then echo "$i"; return; fi
    done
    die "no node '${1:-}'; choose one of ${NODES[*]}" 2
}

stop_node() {
    local i
    i=$(node_index "${1:-}")
    lock
    stop "slurmd-${NODES[i]}"
}

start_node() {
    local i
    i=$(node_index "${1:-}")
    lock
    start_slurmd "$i"
    wait_until 60 "the node" node_brought_back "${NODES[i]}"
}

node_brought_back() {
    resume_nodes
    sinfo -h -N -n "$1" -p main -o %T | grep -qxE 'idle|mixed|allocated|completing'
}

restart_controller() {
    lock
    stop slurmctld
    start_slurmctld
}

status() {
    if ! is_up >/dev/null 2>&1; then
        say "not up ($(report_daemons)); start it with: slurm/dev_cluster.sh up"
        return 1
    fi
    sinfo -N -p main -o '%6N %10T %5c %8m %G'
    squeue -o '%12i %10P %20j %10T %8M %6D %R'
}

report_daemons() {
    local daemon dead=()
    for daemon in $(daemons); do running "$daemon" || dead+=("$daemon"); done
    if ((${#dead[@]})); then echo "not running: ${dead[*]}"; else echo "nodes or sacct do not answer"; fi
}

main() {
    case ${1:-} in
        up | down | status) "$1" ;;
        env) echo "export SLURM_CONF=$SLURM_CONF" ;;
        stop-node) stop_node "${2:-}" ;;
        start-node) start_node "${2:-}" ;;
        restart-controller) restart_controller ;;
        -h | --help | help) usage ;;
        *) usage >&2; exit 2 ;;
    esac
}

main "$@"
