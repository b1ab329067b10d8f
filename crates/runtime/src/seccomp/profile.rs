//! The default profile.
//!
//! The ground is Podman's: what is not named answers ENOSYS, so that programs fall back; a short list answers
//! EPERM; some depend on a capability. Tightened where the field was burnt: no AF_ALG and no AF_VSOCK sockets, no new
//! user namespaces and no mounting without CAP_SYS_ADMIN (as Docker has it), unless nesting is asked for.

use oci::runtime::{Seccomp, SyscallArgument, SyscallRule};

const EPERM: u32 = 1;
const EINVAL: u32 = 22;
const ENOSYS: u32 = 38;
/// CLONE_NEW*: user, pid, net, ipc, uts, mount, cgroup namespaces.
const CLONE_NAMESPACES: u64 = 0x7E02_0000;
const AF_NETLINK: u64 = 16;
const AF_ALG: u64 = 38;
const AF_VSOCK: u64 = 40;
const NETLINK_AUDIT: u64 = 9;

/// Always allowed.
#[rustfmt::skip]
const ALLOWED: [&str; 371] = [
    "_llseek", "_newselect", "accept", "accept4", "access", "adjtimex", "alarm", "bind", "brk", "capget", "capset", "chdir", "chmod",
    "chown", "chown32", "clock_adjtime", "clock_adjtime64", "clock_getres", "clock_getres_time64", "clock_gettime",
    "clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64", "close", "close_range", "connect", "copy_file_range", "creat",
    "dup", "dup2", "dup3", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2",
    "epoll_wait", "epoll_wait_old", "eventfd", "eventfd2", "execve", "execveat", "exit", "exit_group", "faccessat", "faccessat2",
    "fadvise64", "fadvise64_64", "fallocate", "fanotify_mark", "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32",
    "fchownat", "fcntl", "fcntl64", "fdatasync", "fgetxattr", "flistxattr", "flock", "fork", "fremovexattr", "fsetxattr", "fstat",
    "fstat64", "fstatat64", "fstatfs", "fstatfs64", "fsync", "ftruncate", "ftruncate64", "futex", "futex_requeue", "futex_time64",
    "futex_wait", "futex_waitv", "futex_wake", "futimesat", "get_mempolicy", "get_robust_list", "get_thread_area", "getcpu",
    "getcwd", "getdents", "getdents64", "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32", "getgroups",
    "getgroups32", "getitimer", "getpeername", "getpgid", "getpgrp", "getpid", "getppid", "getpriority", "getrandom", "getresgid",
    "getresgid32", "getresuid", "getresuid32", "getrlimit", "getrusage", "getsid", "getsockname", "getsockopt", "gettid",
    "gettimeofday", "getuid", "getuid32", "getxattr", "getxattrat", "inotify_add_watch", "inotify_init", "inotify_init1",
    "inotify_rm_watch", "io_cancel", "io_destroy", "io_getevents", "io_setup", "io_submit", "ioctl", "ioprio_get", "ioprio_set",
    "ipc", "keyctl", "kill", "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "lchown", "lchown32",
    "lgetxattr", "link", "linkat", "listen", "listxattr", "listxattrat", "llistxattr", "lremovexattr", "lseek", "lsetxattr",
    "lsm_get_self_attr", "lsm_list_modules", "lstat", "lstat64", "madvise", "mbind", "membarrier", "memfd_create", "memfd_secret",
    "mincore", "mkdir", "mkdirat", "mknod", "mknodat", "mlock", "mlock2", "mlockall", "mmap", "mmap2", "mprotect", "mq_getsetattr",
    "mq_notify", "mq_open", "mq_timedreceive", "mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64", "mq_unlink",
    "mremap", "mseal", "msgctl", "msgget", "msgrcv", "msgsnd", "msync", "munlock", "munlockall", "munmap", "name_to_handle_at",
    "nanosleep", "newfstatat", "open", "openat", "openat2", "pause", "pidfd_getfd", "pidfd_open", "pidfd_send_signal", "pipe",
    "pipe2", "pkey_alloc", "pkey_free", "pkey_mprotect", "poll", "ppoll", "ppoll_time64", "prctl", "pread64", "preadv", "preadv2",
    "prlimit64", "process_mrelease", "process_vm_readv", "process_vm_writev", "pselect6", "pselect6_time64", "ptrace", "pwrite64",
    "pwritev", "pwritev2", "read", "readahead", "readdir", "readlink", "readlinkat", "readv", "reboot", "recv", "recvfrom",
    "recvmmsg", "recvmmsg_time64", "recvmsg", "remap_file_pages", "removexattr", "removexattrat", "rename", "renameat", "renameat2",
    "restart_syscall", "rmdir", "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn",
    "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_tgsigqueueinfo", "sched_get_priority_max",
    "sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam", "sched_getscheduler", "sched_rr_get_interval",
    "sched_rr_get_interval_time64", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "sched_yield",
    "seccomp", "select", "semctl", "semget", "semop", "semtimedop", "semtimedop_time64", "send", "sendfile", "sendfile64",
    "sendmmsg", "sendmsg", "sendto", "set_mempolicy", "set_mempolicy_home_node", "set_robust_list", "set_thread_area",
    "set_tid_address", "setfsgid", "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32", "setgroups", "setgroups32",
    "setitimer", "setpgid", "setpriority", "setregid", "setregid32", "setresgid", "setresgid32", "setresuid", "setresuid32",
    "setreuid", "setreuid32", "setrlimit", "setsid", "setsockopt", "setuid", "setuid32", "setxattr", "setxattrat", "shmat", "shmctl",
    "shmdt", "shmget", "shutdown", "sigaction", "sigaltstack", "signal", "signalfd", "signalfd4", "sigpending", "sigprocmask",
    "sigreturn", "sigsuspend", "socketpair", "splice", "stat", "stat64", "statfs", "statfs64", "statx", "symlink", "symlinkat",
    "sync", "sync_file_range", "syncfs", "syscall", "sysinfo", "syslog", "tee", "tgkill", "time", "timer_create", "timer_delete",
    "timer_getoverrun", "timer_gettime", "timer_gettime64", "timer_settime", "timer_settime64", "timerfd", "timerfd_create",
    "timerfd_gettime", "timerfd_gettime64", "timerfd_settime", "timerfd_settime64", "times", "tkill", "truncate", "truncate64",
    "ugetrlimit", "umask", "uname", "unlink", "unlinkat", "utime", "utimensat", "utimensat_time64", "utimes", "vfork", "wait4",
    "waitid", "waitpid", "write", "writev",
];

/// Always refused with EPERM, whatever the capabilities.
#[rustfmt::skip]
const REFUSED: [&str; 33] = [
    "bdflush", "cachestat", "io_pgetevents", "io_uring_enter", "io_uring_register", "io_uring_setup", "kexec_file_load",
    "kexec_load", "map_shadow_stack", "migrate_pages", "move_pages", "nfsservctl", "nice", "oldfstat", "oldlstat", "oldolduname",
    "oldstat", "olduname", "pciconfig_iobase", "pciconfig_read", "pciconfig_write", "sgetmask", "ssetmask", "swapcontext", "swapoff",
    "swapon", "sysfs", "uselib", "userfaultfd", "ustat", "vm86", "vm86old", "vmsplice",
];

/// Need CAP_SYS_ADMIN or nesting.
#[rustfmt::skip]
const MOUNTING: [&str; 12] = [
    "fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr", "move_mount", "open_tree", "pivot_root", "umount",
    "umount2", "unshare",
];

/// System calls that a capability unlocks, refused with EPERM without it.
const UNLOCKED: [(&str, &[&str]); 9] = [
    ("CAP_DAC_READ_SEARCH", &["open_by_handle_at"]),
    (
        "CAP_SYS_ADMIN",
        &["bpf", "fanotify_init", "lookup_dcookie", "perf_event_open", "quotactl", "quotactl_fd", "setdomainname", "sethostname", "setns"],
    ),
    ("CAP_SYS_CHROOT", &["chroot"]),
    ("CAP_SYS_MODULE", &["delete_module", "finit_module", "init_module", "query_module"]),
    ("CAP_SYS_PACCT", &["acct"]),
    ("CAP_SYS_PTRACE", &["kcmp", "process_madvise"]),
    ("CAP_SYS_RAWIO", &["ioperm", "iopl"]),
    ("CAP_SYS_TIME", &["clock_settime", "clock_settime64", "settimeofday", "stime"]),
    ("CAP_SYS_TTY_CONFIG", &["vhangup"]),
];

/// personality(2): Linux and its 32-bit look, with and without short time stamps, and the question.
const PERSONALITIES: [u64; 5] = [0, 8, 0x20000, 0x20008, 0xffff_ffff];

/// Makes the default profile for a capability set; `nested` lets a container make user namespaces and mount in them.
pub fn default_profile(capabilities: &[String], nested: bool) -> Seccomp {
    let has = |name: &str| capabilities.iter().any(|cap| cap == name);
    let mut rules = vec![allow(&ALLOWED), refuse(&REFUSED, EPERM)];
    for (capability, names) in UNLOCKED {
        rules.push(if has(capability) { allow(names) } else { refuse(names, EPERM) });
    }
    if has("CAP_BPF") && !has("CAP_SYS_ADMIN") {
        rules.push(allow(&["bpf"]));
    }
    if has("CAP_PERFMON") && !has("CAP_SYS_ADMIN") {
        rules.push(allow(&["perf_event_open"]));
    }
    for domain in PERSONALITIES {
        rules.push(when(allow(&["personality"]), &[(0, "SCMP_CMP_EQ", domain, 0)]));
    }
    rules.push(allow(&[
        "arch_prctl",
        "modify_ldt",
        "arm_fadvise64_64",
        "arm_sync_file_range",
        "breakpoint",
        "cacheflush",
        "set_tls",
        "sync_file_range2",
    ]));
    if nested || has("CAP_SYS_ADMIN") {
        rules.push(allow(&MOUNTING));
        rules.push(allow(&["clone", "clone3", "setns"]));
    } else {
        rules.push(refuse(&MOUNTING, EPERM));
        rules.push(when(allow(&["clone"]), &[(0, "SCMP_CMP_MASKED_EQ", CLONE_NAMESPACES, 0)]));
        rules.push(when(refuse(&["clone"], EPERM), &[(0, "SCMP_CMP_NE", u64::MAX, 0)]));
        // Its flags lie in memory, where a filter cannot look; programs fall back to clone.
        rules.push(refuse(&["clone3"], ENOSYS));
    }
    rules.push(when(refuse(&["socket"], EPERM), &[(0, "SCMP_CMP_EQ", AF_ALG, 0)]));
    rules.push(when(refuse(&["socket"], EPERM), &[(0, "SCMP_CMP_EQ", AF_VSOCK, 0)]));
    if !has("CAP_AUDIT_WRITE") {
        rules.push(when(refuse(&["socket"], EINVAL), &[(0, "SCMP_CMP_EQ", AF_NETLINK, 0), (2, "SCMP_CMP_EQ", NETLINK_AUDIT, 0)]));
    }
    rules.push(when(allow(&["socket"]), &[(0, "SCMP_CMP_NE", AF_ALG, 0)]));
    Seccomp {
        default_action: "SCMP_ACT_ERRNO".to_owned(),
        default_errno_ret: Some(ENOSYS),
        architectures: super::native_architectures(),
        syscalls: rules,
        ..Seccomp::default()
    }
}

fn allow(names: &[&str]) -> SyscallRule {
    SyscallRule {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        action: "SCMP_ACT_ALLOW".to_owned(),
        ..SyscallRule::default()
    }
}

fn refuse(names: &[&str], errno: u32) -> SyscallRule {
    SyscallRule { action: "SCMP_ACT_ERRNO".to_owned(), errno_ret: Some(errno), ..allow(names) }
}

fn when(rule: SyscallRule, conditions: &[(u32, &str, u64, u64)]) -> SyscallRule {
    let args = conditions.iter().map(|(index, op, value, value_two)| SyscallArgument {
        index: *index,
        value: *value,
        value_two: *value_two,
        op: (*op).to_owned(),
    });
    SyscallRule { args: args.collect(), ..rule }
}
