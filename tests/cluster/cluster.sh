#!/usr/bin/env bash
# A real Slurm cluster on one machine: slurmctld, munge and several slurmd, each
# a host of its own in network, mount and UTS namespaces, joined by a bridge.
#
#   cluster.sh possible          exit 0, or say why not and exit 1
#   cluster.sh start DIR [N]     N hosts n1 .. nN (default 4); state in DIR
#   cluster.sh claim DIR         only take a number, with what is named after it
#   cluster.sh stop DIR          end everything; safe to call twice
#   cluster.sh shape DIR HOST RATE DELAY   slow the host's link down, as in n2
#                                40mbit 2ms; without netem in the kernel no delay
#   cluster.sh unshape DIR HOST
#   cluster.sh kill DIR HOST     the host dies: every process of it at once
#   cluster.sh revive DIR HOST
#
# `. DIR/env` gives sbatch, srun, ... their configuration. Needs root, and the
# packages slurm-wlm, munge, libpmix-dev (the PMIx plugin loads libpmix.so),
# iproute2. Several clusters may run beside each other: each has a number, with
# a network and a port of its own. The set-up is explained where it is surprising.
set -euo pipefail

mark=/run/moegps-cluster # .NUMBER: the folder with the state of that cluster
root=$(cd "$(dirname "$0")/../.." && pwd)

# numbered K: names and addresses of cluster K; NET.254 is the machine itself,
# where slurmctld runs.
numbered() {
    k=$1 net=10.99.$1 bridge=moe${1}br
}

fail() {
    echo "cluster: $*" >&2
    exit 1
}

need() {
    local c
    for c in slurmctld slurmd munged sbatch ip tc nsenter unshare; do
        command -v "$c" > /dev/null || { echo "no $c"; return 1; }
    done
    [ "$(id -u)" -eq 0 ] || { echo "not root"; return 1; }
    ldconfig -p | grep -q 'libpmix.so$' ||
        find /usr/lib -path '*pmix2/lib/libpmix.so' 2> /dev/null | grep -q . ||
        { echo "no libpmix.so (libpmix-dev)"; return 1; }
}

# Namespaces, bridges and shaping are tried, as containers may forbid them.
try_namespaces() {
    local probe=moeprobe$$
    unshare --mount --uts true 2> /dev/null || { echo "no mount namespaces"; return 1; }
    ip netns add $probe 2> /dev/null || { echo "no network namespaces"; return 1; }
    local ok=1
    ip link add ${probe}b type bridge 2> /dev/null &&
        ip link add ${probe}v type veth peer name eth0 netns $probe 2> /dev/null ||
        { echo "no bridge or veth devices"; ok=0; }
    ip link del ${probe}v 2> /dev/null || true
    ip link del ${probe}b 2> /dev/null || true
    ip netns del $probe
    [ $ok -eq 1 ]
}

possible() {
    need && try_namespaces
}

# A job that is queued again waits until its credential has expired: 10 s here, of
# 120 elsewhere.
write_conf() {
    local dir=$1 n=$2 i
    {
        cat << CONF
ClusterName=virtual
SlurmctldHost=$(hostname)($net.254)
SlurmctldPort=$((16817 + k))
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/munge.socket,cred_expire=10
MpiDefault=pmix
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=15
MessageTimeout=20
KillWait=2
InactiveLimit=0
MinJobAge=300
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.%n.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.%n.log
JobRequeue=1
CONF
        for ((i = 1; i <= n; i++)); do
            echo "NodeName=n$i NodeAddr=$net.$i CPUs=8 RealMemory=1000 State=UNKNOWN"
        done
        echo "PartitionName=all Nodes=n[1-$n] Default=YES MaxTime=60 State=UP"
    } > "$dir/slurm.conf"
}

# munge with a key and a socket of its own, so that one already running on the
# machine is not disturbed. As root, so that it may lie in a private folder; it
# would refuse to, and to run from a folder that others may write, but for --force.
start_munge() {
    local dir=$1
    mkdir -p "$dir/munge"
    dd if=/dev/urandom of="$dir/munge/key" bs=1024 count=1 2> /dev/null
    chmod 0400 "$dir/munge/key"
    munged --force \
        --key-file="$dir/munge/key" --socket="$dir/munge/munge.socket" \
        --pid-file="$dir/munge/pid" --log-file="$dir/munge/log" \
        --seed-file="$dir/munge/seed" 2>> "$dir/munge/err" || fail "munged: $(tail -n 1 "$dir/munge/err")"
}

start_host() {
    local dir=$1 host=$2 i=${2#n}
    # /tmp and /dev/shm of its own: with a shared /tmp the PMIx plugin finds
    # the other host's directory, and ranks of two hosts would share memory.
    # Should the project itself lie below /tmp, it stays visible there.
    local stage=$dir/spool/$host/tmp below=
    mkdir -p "$stage"
    case $root in /tmp/*) below=$stage/${root#/tmp/} ;; esac
    nsenter --net="/var/run/netns/moe$k.$i" unshare --mount --uts --pid --fork \
        --kill-child sh -c "
            hostname $host
            mount --make-rprivate /
            mount -t proc proc /proc
            mount -t tmpfs tmpfs /dev/shm
            mount -t tmpfs tmpfs '$stage'
            [ -z '$below' ] || { mkdir -p '$below'; mount --rbind '$root' '$below'; }
            mount --move '$stage' /tmp
            exec slurmd -D -N $host -f '$dir/slurm.conf'" \
        > "$dir/host.$host.log" 2>&1 &
    echo $! > "$dir/host.$host.pid"
}

start_network() {
    local n=$1 i
    ip addr add $net.254/24 dev $bridge
    ip link set $bridge up
    for ((i = 1; i <= n; i++)); do
        ip netns add moe$k.$i
        ip link add moe$k.$i type veth peer name eth0 netns moe$k.$i
        ip link set moe$k.$i master $bridge up
        ip -n moe$k.$i addr add $net.$i/24 dev eth0
        ip -n moe$k.$i link set eth0 up
        ip -n moe$k.$i link set lo up
    done
}

stop_network() {
    local ns
    for ns in $(ip netns list 2> /dev/null | grep -o "^moe$k\.[0-9]*" || true); do
        ip netns pids "$ns" 2> /dev/null | xargs -r kill -9 2> /dev/null || true
        ip netns del "$ns" 2> /dev/null || true
    done
    ip link del $bridge 2> /dev/null || true
}

# A cluster whose folder is gone was left behind.
end_left() {
    local dir
    dir=$(cat "$mark.$k" 2> /dev/null) && [ ! -e "$dir" ] || return 0
    pkill -9 -f "$dir/" || true
    stop_network
}

# claim DIR: the first number whose bridge can be made
claim() {
    local dir=$1 i
    for ((i = 0; i < 100; i++)); do
        numbered $i
        end_left
        ip link add $bridge type bridge 2> /dev/null || continue
        echo "$i" > "$dir/number"
        echo "$dir" > "$mark.$i"
        return
    done
    fail "no number is free"
}

all_idle() {
    [ "$(SLURM_CONF=$1/slurm.conf sinfo -h -N -o %T 2> /dev/null | grep -c '^idle$')" -eq "$2" ]
}

start() {
    local dir=$1 n=${2:-4} i
    possible > /dev/null || fail "$(possible)"
    mkdir -p "$dir/state"
    claim "$dir"
    write_conf "$dir" "$n"
    start_network "$n"
    start_munge "$dir"
    slurmctld -c -f "$dir/slurm.conf" || fail "slurmctld: $(tail -n 1 "$dir/slurmctld.log")"
    for ((i = 1; i <= n; i++)); do
        start_host "$dir" n$i
    done
    await 30 all_idle "$dir" "$n" || fail "hosts do not come up: $(tail -n 2 "$dir"/slurmd.n1.log)"
    # Ranks on several hosts talk over the bridge alone. Who finds this, finds a cluster.
    cat > "$dir/env" << ENV
export SLURM_CONF='$dir/slurm.conf'
export OMPI_MCA_btl_tcp_if_include=$net.0/24 OMPI_MCA_btl=self,vader,tcp
export OMPI_MCA_pml=ob1 PMIX_MCA_gds=hash OMPI_MCA_mpi_yield_when_idle=1
ENV
}

stop() {
    local dir=$1 f
    for f in "$dir"/host.*.pid "$dir/slurmctld.pid" "$dir/munge/pid"; do
        [ -s "$f" ] && kill -9 "$(cat "$f")" 2> /dev/null || true
    done
    # The mark first: who finds the bridge gone may set one.
    [ "$(cat "$mark.$k" 2> /dev/null)" != "$dir" ] || rm -f "$mark.$k"
    stop_network
    rm -f "$dir/number"
}

shape() {
    local in="ip netns exec moe$k.${1#n} tc qdisc replace dev eth0 root"
    $in netem rate "$2" delay "$3" 2> /dev/null ||
        $in tbf rate "$2" burst 16kb latency 400ms 2> /dev/null ||
        fail "this kernel can shape no links (neither netem nor tbf)"
}

# shellcheck source=tests/env.bash
. "$root/tests/env.bash" # await
[ ! -s "${2:-}/number" ] || numbered "$(cat "$2/number")"
case ${1:-} in
possible) possible ;;
start) start "${@:2}" ;;
claim) claim "$2" ;;
stop) [ ! -s "$2/number" ] || stop "$2" ;;
shape) shape "${@:3}" ;;
unshape) ip netns exec "moe$k.${3#n}" tc qdisc del dev eth0 root ;;
kill)
    kill -9 "$(cat "$2/host.$3.pid")"
    ip netns pids "moe$k.${3#n}" | xargs -r kill -9 2> /dev/null || true
    ;;
revive) start_host "$2" "$3" && await 30 all_idle "$2" "$(grep -c ^NodeName "$2/slurm.conf")" ;;
*)
    sed -n '2,/^set/{/^#/p}' "$0" >&2
    exit 2
    ;;
esac
