//! What a user can do when the system refuses a step: a line for every known reason.

use super::protocol::Step;
use std::fs;
use std::path::{Path, PathBuf};

/// What there is to know about this machine when it refuses something.
#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    /// The number in /proc/sys/user/max_user_namespaces.
    max_user_namespaces: Option<u64>,
    /// Debian's older switch for unprivileged user namespaces.
    unprivileged_userns_clone: Option<u64>,
    /// Ubuntu's (23.10 and later).
    apparmor_restricts: Option<u64>,
    /// Whether this is a container.
    container: bool,
    /// Whether /dev/net/tun is there at all.
    tun_exists: bool,
}

impl Machine {
    pub(super) fn look() -> Self {
        let number = |path: &str| {
            fs::read_to_string(Path::new("/proc/sys").join(path)).ok()?.trim().parse().ok()
        };
        Machine {
            max_user_namespaces: number("user/max_user_namespaces"),
            unprivileged_userns_clone: number("kernel/unprivileged_userns_clone"),
            apparmor_restricts: number("kernel/apparmor_restrict_unprivileged_userns"),
            container: in_container(
                Path::new("/.dockerenv").exists()
                    || Path::new("/run/.containerenv").exists()
                    || std::env::var_os("container").is_some(),
                |kind| fs::read_link(Path::new("/proc/self/ns").join(kind)).ok(),
            ),
            tun_exists: Path::new("/dev/net/tun").exists(),
        }
    }
}

/// Whether this is a container. The marks that containers leave are not enough: virtual machines
/// made from their images have them, too. A container has a namespace that is not the machine's
/// first one, whose number the kernel fixes (linux/nsfs.h, linux/proc_ns.h).
fn in_container(marked: bool, namespace: impl Fn(&str) -> Option<PathBuf>) -> bool {
    let first =
        [("pid", "pid:[4026531836]"), ("uts", "uts:[4026531838]"), ("ipc", "ipc:[4026531839]")];
    marked
        && first
            .into_iter()
            .any(|(kind, first)| namespace(kind).is_none_or(|found| found != Path::new(first)))
}

/// The privileges that a container needs: its default profile forbids namespaces and mounts.
const CONTAINER: &str = "start the container with --privileged, or with --cap-add SYS_ADMIN \
    --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
    --security-opt systempaths=unconfined --device /dev/net/tun";

/// The step as it reads after "the system refused to".
pub(super) fn describe(step: &Step) -> String {
    match step {
        Step::Version => "speak the harness's protocol".into(),
        Step::Fork => "fork into a new pid namespace (clone3)".into(),
        Step::UserNamespace => "create a user namespace (unshare)".into(),
        Step::IdMap => "write the user namespace's id maps".into(),
        Step::Namespaces => "create namespaces (unshare)".into(),
        Step::Mount(what) => format!("mount {what}"),
        Step::OpenTun => "open /dev/net/tun".into(),
        Step::MakeTun => "make a TUN device".into(),
        Step::Network(what) => format!("configure the network ({what})"),
        Step::WorkingDir => "change to the working directory".into(),
        Step::TakeUid => "take on the user id".into(),
        Step::Execute => "execute the program".into(),
        Step::Other(what) => what.clone(),
    }
}

/// One line on what to do.
pub(super) fn remedy(step: &Step, errno: i32, machine: &Machine) -> String {
    let denied = matches!(errno, libc::EPERM | libc::EACCES | libc::ENOSYS);
    let namespaces = matches!(
        step,
        Step::Fork | Step::UserNamespace | Step::IdMap | Step::Namespaces | Step::Mount(_)
    );
    if errno == libc::EAGAIN {
        return fuzz_dist_env::threads::remedy();
    }
    if *step == Step::UserNamespace && errno == libc::ENOSPC {
        let now = machine.max_user_namespaces.map_or_else(String::new, |n| format!(" (now {n})"));
        return format!("sudo sysctl -w user.max_user_namespaces=10000{now}");
    }
    if matches!(step, Step::Fork | Step::Namespaces) && errno == libc::ENOSPC {
        return "sudo sysctl -w user.max_net_namespaces=10000 user.max_pid_namespaces=10000 \
                user.max_mnt_namespaces=10000"
            .into();
    }
    if *step == Step::OpenTun && (errno == libc::ENOENT || !machine.tun_exists) {
        return match machine.container {
            true => "start the container with --device /dev/net/tun".into(),
            false => "sudo modprobe tun (and, if it is still missing: sudo mkdir -p /dev/net && \
                      sudo mknod -m 0666 /dev/net/tun c 10 200)"
                .into(),
        };
    }
    if *step == Step::OpenTun && denied {
        return match machine.container {
            true => "start the container with --device /dev/net/tun".into(),
            false => "sudo chmod 0666 /dev/net/tun".into(),
        };
    }
    if denied && namespaces && machine.unprivileged_userns_clone == Some(0) {
        return "sudo sysctl -w kernel.unprivileged_userns_clone=1".into();
    }
    let by_apparmor = machine.apparmor_restricts.is_some_and(|on| on != 0);
    let network = matches!(step, Step::OpenTun | Step::MakeTun | Step::Network(_));
    if denied && (namespaces || network) && by_apparmor && !machine.container {
        // There, creating the namespace succeeds, and a later step is denied.
        return "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0".into();
    }
    if denied && (namespaces || network) && machine.container {
        return CONTAINER.into();
    }
    match step {
        Step::MakeTun if denied => "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 \
            (where AppArmor restricts user namespaces), or run as root"
            .into(),
        Step::MakeTun => "use a kernel with TUN devices (CONFIG_TUN; sudo modprobe tun)".into(),
        Step::Version => "rebuild the test, so that harness and agent are the same program".into(),
        _ if errno == libc::ENOSYS => "use Linux 5.12 or newer".into(),
        _ if denied && namespaces => {
            "allow unprivileged user namespaces (sysctl user.max_user_namespaces, or the \
             security module's profile), or run as root"
                .into()
        }
        _ => "see the system's answer above".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine { tun_exists: true, max_user_namespaces: Some(1000), ..Machine::default() }
    }

    #[test]
    fn a_mark_alone_makes_no_container() {
        let machine = |kind: &str| {
            let number = match kind {
                "pid" => 4026531836_u64,
                "uts" => 4026531838,
                _ => 4026531839,
            };
            Some(PathBuf::from(format!("{kind}:[{number}]")))
        };
        let container = |kind: &str| Some(PathBuf::from(format!("{kind}:[4026532600]")));
        assert!(!in_container(true, machine), "a virtual machine from a container's image");
        assert!(!in_container(false, container), "a session in namespaces of its own");
        assert!(in_container(true, container) && in_container(true, |_| None));
    }

    #[test]
    fn every_known_reason_has_its_remedy() {
        let apparmor = Machine { apparmor_restricts: Some(1), ..machine() };
        let docker = Machine { container: true, ..machine() };
        let debian = Machine { unprivileged_userns_clone: Some(0), ..machine() };
        let none = Machine { max_user_namespaces: Some(0), ..machine() };
        let no_tun = Machine { tun_exists: false, ..machine() };
        let no_tun_in_docker = Machine { tun_exists: false, ..docker.clone() };
        let proc = Step::Mount("/proc".into());
        for (step, errno, machine, expected) in [
            (Step::UserNamespace, libc::ENOSPC, &none, "max_user_namespaces=10000 (now 0)"),
            (Step::UserNamespace, libc::EPERM, &debian, "unprivileged_userns_clone=1"),
            (Step::IdMap, libc::EACCES, &apparmor, "apparmor_restrict_unprivileged_userns=0"),
            (proc.clone(), libc::EACCES, &apparmor, "apparmor_restrict_unprivileged_userns=0"),
            (Step::MakeTun, libc::EPERM, &apparmor, "apparmor_restrict_unprivileged_userns=0"),
            (Step::UserNamespace, libc::EPERM, &docker, "--privileged"),
            (Step::Fork, libc::ENOSYS, &docker, "--privileged"),
            (proc, libc::EPERM, &docker, "systempaths=unconfined"),
            (Step::OpenTun, libc::ENOENT, &no_tun, "modprobe tun"),
            (Step::OpenTun, libc::ENOENT, &no_tun_in_docker, "--device /dev/net/tun"),
            (Step::OpenTun, libc::EACCES, &machine(), "chmod 0666 /dev/net/tun"),
            (Step::Namespaces, libc::ENOSPC, &machine(), "max_net_namespaces"),
            (Step::Namespaces, libc::EPERM, &machine(), "unprivileged user namespaces"),
            (Step::Fork, libc::EAGAIN, &machine(), "ulimit -u"),
            (Step::Other("start".into()), libc::EAGAIN, &docker, "ulimit -u"),
        ] {
            let line = remedy(&step, errno, machine);
            assert!(line.contains(expected), "{step:?} {errno}: {line}");
            assert!(!line.contains('\n'), "a remedy is one line: {line}");
        }
    }
}
