//! Hostile bundles: each ends with a clear reason, leaves nothing, and the next job runs as if nothing had been.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use ocho_tests::tls::Certificates;
use ocho_tests::{TestHost, wait};
use tar::EntryType;

use crate::bundle::{Bundle, fixture, gzip};
use crate::request::{folders_left, host, plan, send};

/// The next job runs as if nothing had been.
#[track_caller]
fn is_well(host: &TestHost) {
    assert_eq!(send(host, "a.py", &fixture().pack()).ok(), ["one", "a.py ran in 0 seconds"]);
    assert_eq!(folders_left(host), [""; 0]);
}

/// What a job started is over with it.
#[track_caller]
fn has_no_runs(host: &TestHost) {
    let running = || host.portal("GET", "/v1/runs", &[]).json()["running"].as_array().map(Vec::len);
    wait::until_so("no run", Duration::from_secs(120), || running() == Some(0));
}

#[test]
fn row_19_what_leads_out_is_refused_by_name() {
    let host = host();
    let evil = [
        ("../escape", EntryType::Regular, "does not stay"),
        ("/tmp/ocho-servo-escape", EntryType::Regular, "does not stay"),
        ("sub/../../escape", EntryType::Regular, "does not stay"),
        ("link", EntryType::Symlink, "is a symbolic link"),
        ("hard", EntryType::Link, "is a hard link"),
        ("null", EntryType::Char, "is a device"),
        ("pipe", EntryType::Fifo, "is a pipe"),
    ];
    for (name, kind, why) in evil {
        let bundle = fixture().entry(name, kind, "").entry("link/ocho-servo-escape", EntryType::Regular, "x");
        let log = send(&host, "a.py", &bundle.pack()).failed();
        assert_eq!(log.len(), 1, "{log:?}");
        assert!(log[0].starts_with(&format!("failure (unable to open the archive (`{name}` {why}")), "{log:?}");
    }
    assert!(!std::path::Path::new("/tmp/ocho-servo-escape").exists());
    is_well(&host);
}

#[test]
fn archives_that_unpack_to_too_much() {
    let host = host();
    let bomb = gzip(&Bundle::default().file("bomb", vec![0; 300 << 20]).tar());
    assert!(bomb.len() < 4 << 20);
    let log = send(&host, "bomb", &bomb).failed();
    assert_eq!(log, ["failure (unable to open the archive (it unpacks to more than 100 times its size))"]);
    let many = (0..100_000).fold(Bundle::default(), |bundle, n| bundle.file(&format!("{n}"), ""));
    let log = send(&host, "a", &many.pack()).failed();
    assert_eq!(log, ["failure (unable to open the archive (it holds more than 10000 files and folders))"]);
    is_well(&host);
}

#[test]
fn jobs_that_take_what_they_can_get() {
    let tight = plan().words(&["--job-cpu-limit", "1"]).start();
    let small = plan().words(&["--memory-limit", "64"]).start();
    // Long enough for honest jobs on a machine that stands still for a moment.
    let short = plan().words(&["--job-wall-limit", "12"]).start();
    for (host, steps, reason) in [
        (&tight, "print before\nspin", "used more than its 1 s of CPU time"),
        (&small, "print before\nhog", "ran out of its 64 MiB of memory"),
        (&short, "print before\nsleep 100000000", "ran longer than its limit of 12 s"),
    ] {
        let log = send(host, "evil", &Bundle::default().job("evil", steps).pack()).failed();
        assert_eq!(log[0], "before");
        assert!(log.iter().any(|line| line.starts_with("job 'evil' ") && line.contains(reason)), "{log:?}");
        assert_eq!(log.last().unwrap(), "failure (evil failed on exit code 137)");
        is_well(host);
    }
}

#[test]
fn jobs_that_start_runs_without_end() {
    let host = plan().words(&["--job-wall-limit", "12", "--runs", "4"]).start();
    let log = send(&host, "evil", &Bundle::default().job("evil", "print before\nproxy-for-ever help").pack()).failed();
    assert_eq!(log[0], "before");
    assert!(log[1].starts_with("job 'evil' ran longer than its limit of 12 s (run "), "{log:?}");
    is_well(&host);
    has_no_runs(&host);
    // Many at once: as many run as may, as many wait as may, and the others are told.
    let host = plan().words(&["--runs", "4"]).start();
    let log = send(&host, "storm", &Bundle::default().job("storm", "storm 500 ls").pack());
    let said = log.json().2.join("\n");
    assert!(said.contains("the host runs as many") || said.contains("busy"), "{said}");
    is_well(&host);
    has_no_runs(&host);
}

#[test]
fn a_job_that_fills_the_disk() {
    let host = host();
    let log = send(&host, "evil", &Bundle::default().job("evil", "fill").pack()).failed();
    assert!(
        log[0].starts_with("job 'evil' wrote more into its working folder than its 512 MiB or 20000 entries (run "),
        "{log:?}"
    );
    is_well(&host);
}

#[test]
fn jobs_that_flood_their_log() {
    let host = host();
    for flood in ["flood", "blank-flood"] {
        let log = send(&host, "evil", &Bundle::default().job("evil", flood).pack()).failed();
        let end = &log[log.len() - 3..];
        assert!(end[0].starts_with("job 'evil' printed more than it may (run "), "{end:?}");
        assert_eq!(end[2], "failure (evil failed on exit code 137)");
        is_well(&host);
    }
}

#[test]
fn addresses_that_jobs_may_not_reach() {
    let host = host();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let closed = [
        format!("http://{}/", listener.local_addr().unwrap()),
        format!("http://localhost:{port}/"),
        // The same address, spelled in other ways.
        format!("http://127.1:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://0x7f000001:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://repo.example@127.0.0.1:{port}/"),
        format!("http://{}/v2/apps", host.address("marathon")),
        format!("http://{}/shell", host.address("portal")),
        format!("http://{}/healthz", host.address("servo")),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[::ffff:169.254.169.254]/".to_owned(),
        "http://2852039166/".to_owned(),
        "http://[fe80::1]/".to_owned(),
        "http://0.0.0.0:80/".to_owned(),
    ];
    for url in closed {
        let log = send(&host, "evil", &Bundle::default().job("evil", &format!("get {url}")).pack()).failed();
        assert!(log[0].starts_with(&format!("get: `{url}`: ")) && log[0].contains("Denied"), "{log:?}");
    }
    assert!(listener.accept().is_err(), "somebody connected");
    is_well(&host);
}

#[test]
fn everywhere_is_not_this_machine() {
    let host = plan().words(&["--job-http", "0.0.0.0/0,::/0,localhost.example"]).start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let closed =
        ["127.0.0.1", "127.0.0.2", "localhost", "[::1]", "[::ffff:7f00:1]", "169.254.169.254", "[::ffff:a9fe:a9fe]", "[::]"];
    for closed in closed {
        let url = format!("http://{closed}:{port}/");
        let log = send(&host, "evil", &Bundle::default().job("evil", &format!("get {url}")).pack()).failed();
        assert!(log[0].contains("Denied"), "{log:?}");
    }
    assert!(listener.accept().is_err(), "somebody connected");
}

#[test]
fn a_host_that_the_operator_named_is_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let host = plan().words(&["--job-http", &address.to_string()]).start();
    // It answers with a redirect to an address that is not allowed: that is one more request, and refused.
    let serve = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut seen = [0; 1024];
        let read = stream.read(&mut seen).unwrap();
        let answer =
            "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 5\r\nConnection: close\r\n\r\nthere";
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&seen[..read]).into_owned()
    });
    let log = send(&host, "get", &Bundle::default().job("get", &format!("get http://{address}/ping")).pack()).ok();
    assert_eq!(log[0], "HTTP 302 there");
    assert!(serve.join().unwrap().starts_with("GET /ping HTTP/1.1\r\n"));
    let other = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let log = send(&host, "get", &Bundle::default().job("get", &format!("get http://{other}/")).pack()).failed();
    assert!(log[0].contains("Denied"), "{log:?}");
}

#[test]
fn https_to_allowed_hosts_that_an_authority_vouches_for() {
    let certificates = Certificates::make();
    let address = certificates.serve(|_| ("200 OK", "there"));
    let ca = certificates.authority();
    let get = |url: &str| Bundle::default().job("get", &format!("get {url}")).pack();
    let known = plan().words(&["--job-http", "127.0.0.0/8", "--job-http-ca", &ca.display().to_string()]).start();
    assert_eq!(send(&known, "get", &get(&format!("https://{address}/"))).ok()[0], "HTTP 200 there");
    // The certificate is for the address, not for the name.
    let other_name = format!("https://localhost:{}/", address.port());
    let log = send(&known, "get", &get(&other_name)).failed();
    assert!(log[0].contains("Denied") || log[0].contains("Certificate"), "{log:?}");
    // Plain http there is no answer, and https to somebody who speaks plain http neither.
    assert!(!send(&known, "get", &get(&format!("http://{address}/"))).failed().is_empty());
    let log = send(&known, "get", &get(&format!("https://{}/healthz", known.address("servo")))).failed();
    assert!(log[0].contains("Tls"), "{log:?}");
    is_well(&known);
    let unknown = plan().words(&["--job-http", &address.to_string()]).start();
    let log = send(&unknown, "get", &get(&format!("https://{address}/"))).failed();
    assert!(log[0].contains("TlsCertificateError"), "{log:?}");
    let closed = host();
    let log = send(&closed, "get", &get(&format!("https://{address}/"))).failed();
    assert!(log[0].contains("Denied"), "{log:?}");
    let wrong = plan().words(&["--job-http-ca", "/etc/hostname"]).run();
    assert!(wrong.code == 2 && wrong.stderr.contains("--job-http-ca"), "{wrong:?}");
}

#[test]
fn more_jobs_than_may_wait() {
    let host = plan().words(&["--jobs", "1"]).start();
    let bundle = Bundle::default().job("wait", "await callback.raw").pack();
    std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..8).map(|_| scope.spawn(|| send(&host, "wait", &bundle).failed())).collect();
        // One runs, four wait, and the others are refused; whoever is left is cancelled one after the other.
        while !jobs.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            let list = host.portal("GET", "/v1/jobs", &[]).json();
            let running = list["running"].as_array().unwrap();
            assert!(running.len() <= 5, "{list}");
            assert!(running.iter().filter(|job| job["state"] == "running").count() <= 1, "{list}");
            for job in running {
                let _ = host.portal("DELETE", &format!("/v1/jobs/{}", job["job"].as_str().unwrap()), &[]);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        for job in jobs {
            let log = job.join().unwrap();
            let last = log.last().unwrap();
            assert!(
                last == "failure (cancelled)" || last.starts_with("failure (the host runs as many jobs as it may"),
                "{log:?}"
            );
        }
    });
    is_well(&host);
}
