//! What a host is: a name, a network, a file system and folders of its own.

use super::support::*;
use fuzz_dist::env::{Command, Environment, Error, Folder as Given, HostSpec, Membership, Role};
use fuzz_dist::lab::{Lab, LabOptions};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::task::Poll;

pub(crate) const TESTS: &[Test] = &[
    ("hosts_reach_each_other_by_name", hosts_reach_each_other_by_name),
    ("a_host_has_its_own_places", a_host_has_its_own_places),
    ("a_host_changes_nothing_of_the_machine", a_host_changes_nothing_of_the_machine),
    ("folders_are_laid_read_only", folders_are_laid_read_only),
    ("folders_are_laid_copy_on_write", folders_are_laid_copy_on_write),
    ("another_users_folder_is_copied", another_users_folder_is_copied),
    ("another_groups_folder_is_copied", another_groups_folder_is_copied),
    ("folders_are_laid_in_their_own_place", folders_are_laid_in_their_own_place),
    ("hosts_come_and_go", hosts_come_and_go),
    ("a_host_that_nobody_waits_for_is_not_there", a_host_that_nobody_waits_for_is_not_there),
    ("what_a_host_needs_is_in_its_data_folder", what_a_host_needs_is_in_its_data_folder),
    ("links_of_an_earlier_host_are_not_followed", links_of_an_earlier_host_are_not_followed),
    ("names_and_places_are_checked", names_and_places_are_checked),
];

fn hosts_reach_each_other_by_name() {
    with_lab(3, async |lab| {
        for host in [N1, N2, N3] {
            lab.start(host, helper(&["serve", "7000"])).await.unwrap();
        }
        let hosts = lab.hosts();
        for (from, _) in &hosts {
            for (_, to) in &hosts {
                eventually("an answer", async || {
                    let command = helper(&["ask", &format!("{}:7000", to.name)]);
                    let finished = lab.run(*from, command, LIMIT).await.unwrap();
                    finished.status.success() && finished.text() == to.name
                })
                .await;
            }
        }
    });
}

fn a_host_has_its_own_places() {
    with_hosts(HostSpec::nodes(2), async |lab, folder| {
        assert_eq!(text(&lab, N1, "uname -n; cat /etc/hostname").await, "n1\nn1");
        assert_eq!(
            text(&lab, N2, "echo $FUZZ_DIST_HOST $HOME; pwd").await,
            "n2 /fuzz_dist/home\n/fuzz_dist"
        );
        for place in ["/tmp", "/run", "/dev/shm", "$HOME", "."] {
            text(&lab, N1, &format!("echo 1 > {place}/mine")).await;
            let seen = sh(&lab, N2, &format!("cat {place}/mine")).await;
            assert!(!seen.status.success(), "{place} is shared");
        }
        assert_eq!(fs::read_to_string(folder.join("n1/data/mine")).unwrap(), "1\n");
        assert_eq!(fs::read_to_string(folder.join("n1/data/home/mine")).unwrap(), "1\n");
        // Only the host's own processes: the shell, and what it starts; its init is PID 1.
        let own = text(&lab, N1, "cd /proc; echo [0-9]*").await;
        assert!(own.starts_with("1 ") && own.split(' ').count() <= 3, "{own}");
        // A secret of the harness's environment stays there.
        assert!(!text(&lab, N1, "env").await.contains("CARGO"));
    });
}

fn a_host_changes_nothing_of_the_machine() {
    let folder = Folder::new();
    // Even where this process could.
    let here = folder.0.join("outside");
    fs::create_dir(&here).unwrap();
    with_lab(1, async |lab| {
        for place in ["/", "/etc", "/usr", "/var", "/var/tmp", "/.lab"] {
            let tried = sh(&lab, N1, &format!("echo 1 > {place}/fuzz_dist_trial")).await;
            assert!(!tried.status.success(), "{place} can be written to");
        }
        for file in ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"] {
            assert!(!sh(&lab, N1, &format!("echo 1 > {file}")).await.status.success(), "{file}");
        }
        let tried = sh(&lab, N1, &format!("echo 1 > {}/trial", here.display())).await;
        assert!(!tried.status.success() && !here.join("trial").exists());
    });
}

fn release(folder: &Folder) -> std::path::PathBuf {
    let release = folder.0.join("release");
    fs::create_dir_all(release.join("bin")).unwrap();
    fs::write(release.join("bin/app"), "#!/bin/sh\necho original\n").unwrap();
    fs::set_permissions(release.join("bin/app"), fs::Permissions::from_mode(0o755)).unwrap();
    release
}

fn folders_are_laid_read_only() {
    let folder = Folder::new();
    let release = release(&folder);
    // A folder that exists nowhere on this machine, and one that does.
    let spec = HostSpec::node("n1")
        .folder(Given::read_only(&release, "/usr/lib/fuzz_dist_trial/erlang"))
        .folder(Given::read_only(&release, "/opt/fuzz_dist_trial"))
        .folder(Given::read_only(&release, "/usr/share"));
    with_hosts(vec![spec, HostSpec::node("n2")], async |lab, _| {
        for place in ["/usr/lib/fuzz_dist_trial/erlang", "/opt/fuzz_dist_trial", "/usr/share"] {
            assert_eq!(text(&lab, N1, &format!("{place}/bin/app")).await, "original");
            assert!(!sh(&lab, N1, &format!("echo 1 > {place}/bin/app")).await.status.success());
            assert!(!sh(&lab, N2, &format!("{place}/bin/app")).await.status.success());
        }
        // What else is in there is still there.
        let [one, other] =
            [text(&lab, N1, "ls /usr/lib").await, text(&lab, N2, "ls /usr/lib").await];
        assert!(other.lines().all(|line| one.lines().any(|mine| mine == line)), "{one}\n{other}");
    });
}

fn folders_are_laid_copy_on_write() {
    let folder = Folder::new();
    let release = release(&folder);
    let given = || Given::own_copy(&release, "/app");
    let hosts = ["n1", "n2"].map(|name| HostSpec::node(name).folder(given()));
    with_hosts(hosts.into(), async |lab, _| {
        text(&lab, N1, "echo 'echo changed' > /app/bin/app && mkdir -p /app/log && rm -r /app/log")
            .await;
        text(&lab, N1, "echo new > /app/new && mv /app/new /app/newer").await;
        assert_eq!(text(&lab, N1, "/bin/sh /app/bin/app; cat /app/newer").await, "changed\nnew");
        assert_eq!(text(&lab, N2, "/app/bin/app; ls /app").await, "original\nbin");
        assert!(fs::read_to_string(release.join("bin/app")).unwrap().contains("original"));
        assert_eq!(fs::read_dir(&release).unwrap().count(), 1);
    });
}

fn folders_are_laid_in_their_own_place() {
    // Below /tmp, which every host has of its own.
    let all = tempfile::tempdir_in("/tmp").unwrap();
    let folder = all.path().join("folder");
    fs::create_dir_all(folder.join("bin")).unwrap();
    fs::write(folder.join("bin/app"), "#!/bin/sh\necho original\n").unwrap();
    fs::set_permissions(folder.join("bin/app"), fs::Permissions::from_mode(0o755)).unwrap();
    let link = all.path().join("link");
    std::os::unix::fs::symlink(&folder, &link).unwrap();
    let spec = HostSpec::node("n1")
        .folder(Given::in_place(&link))
        .folder(Given::in_place(std::env::current_exe().unwrap().parent().unwrap()))
        .folder(Given::in_place("/usr"));
    with_hosts(vec![spec, HostSpec::node("n2")], async |lab, _| {
        for place in [&folder, &link] {
            let app = place.join("bin/app").display().to_string();
            assert_eq!(text(&lab, N1, &app).await, "original");
            assert!(!sh(&lab, N1, &format!("echo 1 > {app}")).await.status.success());
            let error = lab.start(N2, Command::new(app)).await.unwrap_err().to_string();
            assert!(error.contains("on host n2") && error.contains("Folder::in_place"), "{error}");
        }
    });
}

fn another_groups_folder_is_copied() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("only root can make another group's folder: not tried");
    }
    let folder = Folder::new();
    let release = release(&folder);
    // Deep within: the folder itself gives no hint.
    std::os::unix::fs::chown(release.join("bin/app"), None, Some(12345)).unwrap();
    let spec = HostSpec::node("n1").folder(Given::own_copy(&release, "/app"));
    with_hosts(vec![spec], async |lab, _| {
        text(&lab, N1, "echo 'echo changed' > /app/bin/app").await;
        assert_eq!(text(&lab, N1, "/bin/sh /app/bin/app").await, "changed");
        let notes = lab.notes();
        assert!(notes.len() == 1 && notes[0].contains("another group"), "{notes:?}");
    });
    // The folder of the host may pass on a group of its own.
    let folder = Folder::new();
    let release = self::release(&folder);
    std::os::unix::fs::chown(&folder.0, None, Some(12345)).unwrap();
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o2755)).unwrap();
    let spec = HostSpec::node("n1").folder(Given::own_copy(&release, "/app"));
    let lab = Lab::start(LabOptions::new(folder.0.join("lab"), vec![spec])).unwrap();
    runtime().block_on(async {
        text(&lab, N1, "echo 'echo changed' > /app/bin/app; echo 1 > /app/bin/new").await;
        assert_eq!(text(&lab, N1, "/bin/sh /app/bin/app").await, "changed");
    });
}

fn another_users_folder_is_copied() {
    let folder = Folder::new();
    let release = release(&folder);
    // Where root starts an ordinary user's tests, it leaves a folder of its own for this one.
    let others = match std::env::var_os("FUZZ_DIST_ROOTS_FOLDER") {
        Some(roots) => roots.into(),
        None if rustix::process::geteuid().is_root() => {
            for path in [&release, &release.join("bin"), &release.join("bin/app")] {
                std::os::unix::fs::chown(path, Some(12345), Some(12345)).unwrap();
            }
            release
        }
        None => return eprintln!("only root can make another user's folder: not tried"),
    };
    let spec = HostSpec::node("n1").folder(Given::own_copy(&others, "/etc/copy"));
    with_hosts(vec![spec, HostSpec::node("n2")], async |lab, _| {
        assert_eq!(text(&lab, N1, "/etc/copy/bin/app").await, "original");
        text(&lab, N1, "echo 'echo mine' > /etc/copy/bin/app; echo 1 > /etc/copy/new").await;
        assert_eq!(text(&lab, N1, "/bin/sh /etc/copy/bin/app").await, "mine");
        assert!(fs::read_to_string(others.join("bin/app")).unwrap().contains("original"));
        let notes = lab.notes();
        assert!(notes.len() == 1 && notes[0].contains("was copied"), "{notes:?}");
        // A place was made in /etc, and what is mounted below it is still there.
        assert!(text(&lab, N1, "getent hosts n2; cat /etc/hostname").await.ends_with("n2\nn1"));
    });
}

fn hosts_come_and_go() {
    with_lab(2, async |lab| {
        let spec = HostSpec::new("late", Role::Client).group("dc2");
        let late = lab.add_host(spec.clone()).await.unwrap();
        assert_eq!(lab.hosts().last(), Some(&(late, spec)));
        lab.start(N1, helper(&["serve", "7000"])).await.unwrap();
        lab.start(late, helper(&["serve", "7000"])).await.unwrap();
        for (from, to) in [(late, "n1"), (N2, "late")] {
            eventually("an answer", async || {
                let command = helper(&["ask", &format!("{to}:7000")]);
                lab.run(from, command, LIMIT).await.unwrap().text() == to
            })
            .await;
        }
        let sleeper = lab.start(N1, Command::new("sleep").arg("1000")).await.unwrap();
        lab.remove_host(N1).await.unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&sleeper.wait().await), Some(9));
        let gone = lab.run(N1, Command::new("true"), LIMIT).await;
        assert!(matches!(gone, Err(Error::UnknownHost(_))), "{gone:?}");
        assert!(lab.address(N1).is_err());
        // The name is free again, the number is not.
        let again = lab.add_host(HostSpec::node("n1")).await.unwrap();
        assert_eq!(again.index(), 3);
        let seen = text(&lab, N2, "getent hosts n1").await;
        assert!(seen.starts_with(&lab.address(again).unwrap().to_string()), "{seen}");
    });
}

/// Wherever the addition of a host waits, who drops it leaves no host behind: the name is free again.
fn a_host_that_nobody_waits_for_is_not_there() {
    with_lab(1, async |lab| {
        let spec = HostSpec::node("late");
        let mut waits = 0;
        let added = loop {
            waits += 1;
            let mut adding = lab.add_host(spec.clone());
            let mut left = waits;
            let added = std::future::poll_fn(|context| match adding.as_mut().poll(context) {
                Poll::Ready(added) => Poll::Ready(Some(added)),
                Poll::Pending if left == 1 => Poll::Ready(None),
                Poll::Pending => {
                    left -= 1;
                    Poll::Pending
                }
            });
            match added.await {
                Some(added) => break added.unwrap(),
                None => drop(adding),
            }
            assert_eq!(lab.hosts().len(), 1, "after {waits} waits");
        };
        assert!(waits > 2, "{waits}");
        assert_eq!(text(&lab, added, "uname -n").await, "late");
        assert_eq!(lab.hosts().len(), 2);
    });
}

fn what_a_host_needs_is_in_its_data_folder() {
    let folder = Folder::new();
    let release = release(&folder);
    let spec = HostSpec::node("n1")
        .folder(Given::own_copy(&release, "app"))
        .folder(Given::read_only(&release, "original"))
        .file("etc/app.conf", "a = 1")
        .file("app/etc/app.conf", "b = 2");
    with_hosts(vec![spec], async |lab, _| {
        assert_eq!(text(&lab, N1, "cat etc/app.conf; original/bin/app").await, "a = 1original");
        text(&lab, N1, "echo changed > app/bin/app; ! echo 1 > original/bin/app").await;
        assert!(fs::read_to_string(release.join("bin/app")).unwrap().contains("original"));
        assert_eq!(lab.read_file(N1, "app/bin/app".into()).await.unwrap(), b"changed\n");
        lab.write_file(N1, "app/etc/new".into(), b"c = 3".into()).await.unwrap();
        assert_eq!(text(&lab, N1, "cat app/etc/app.conf app/etc/new").await, "b = 2c = 3");
        lab.fetch_folder(N1, "app".into(), folder.0.join("app")).await.unwrap();
        assert_eq!(fs::read(folder.0.join("app/bin/app")).unwrap(), b"changed\n");
        let error = lab.read_file(N1, "original/bin/app".into()).await.unwrap_err().to_string();
        assert!(error.contains(&*release.to_string_lossy()), "{error}");
        lab.write_file(N1, "in/put".into(), b"from outside".into()).await.unwrap();
        text(&lab, N1, "tr a-z A-Z < in/put > out && ln -s /etc/hostname link").await;
        assert_eq!(lab.read_file(N1, "out".into()).await.unwrap(), b"FROM OUTSIDE");
        // A link of a host's program leads nowhere on this machine.
        assert!(lab.read_file(N1, "link".into()).await.is_err());
        let to = folder.0.join("fetched");
        lab.fetch_folder(N1, "in".into(), to.clone()).await.unwrap();
        assert_eq!(fs::read(to.join("put")).unwrap(), b"from outside");
    });
}

/// Neither where a folder is laid nor where its changes go.
fn links_of_an_earlier_host_are_not_followed() {
    let folder = Folder::new();
    let release = release(&folder);
    let outside = folder.0.join("outside");
    fs::create_dir(&outside).unwrap();
    let first = HostSpec::node("n1").folder(Given::own_copy(&release, "/app"));
    with_hosts(vec![first.clone(), HostSpec::node("n2")], async |lab, _| {
        let link = format!("ln -s /.outside{}", outside.display());
        text(&lab, N1, &format!("{link} link && {link}/none nothing && mkdir kept")).await;
        lab.remove_host(N1).await.unwrap();
        for at in ["link/deep", "nothing", "/fuzz_dist/link/deep"] {
            let spec = HostSpec::node("n1").folder(Given::read_only(&release, at));
            let error = lab.add_host(spec).await.unwrap_err().to_string();
            assert!(error.contains("through a link"), "{error}");
        }
        let again = lab.add_host(first.clone()).await.unwrap();
        let own = ".copy_on_write";
        text(&lab, again, &format!("mv {own}/0 {own}/old && {link} {own}/0")).await;
        lab.remove_host(again).await.unwrap();
        let error = lab.add_host(first).await.unwrap_err().to_string();
        assert!(error.contains("through a link"), "{error}");
        let other = HostSpec::node("n1").folder(Given::read_only(&release, "kept/deep"));
        let other = lab.add_host(other).await.unwrap();
        assert_eq!(text(&lab, other, "kept/deep/bin/app").await, "original");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    });
}

fn names_and_places_are_checked() {
    for (hosts, expected) in [
        (vec![HostSpec::node("N 1")], "no name for a host"),
        (vec![HostSpec::node("")], "no name for a host"),
        (vec![HostSpec::node("n1"), HostSpec::node("n1")], "two hosts are named n1"),
        (vec![HostSpec::node("n1").folder(Given::read_only("/usr", "../opt"))], "without .."),
        (vec![HostSpec::node("n1").folder(Given::read_only("/no/such", "/opt"))], "/no/such"),
        (
            vec![HostSpec::node("n1").folder(Given::read_only("/usr", "u")).file("u/x", "")],
            "u/x lies in the folder /usr",
        ),
        (HostSpec::nodes(129), "at most 128 hosts"),
    ] {
        let folder = Folder::new();
        let options = fuzz_dist::lab::LabOptions::new(&folder.0, hosts);
        let error = fuzz_dist::lab::Lab::start(options).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
