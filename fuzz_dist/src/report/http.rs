//! One HTTP/1.1 request at a time, over plain TCP: enough to hand something to a collector on this
//! machine, with a deadline for all of it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Longer heads and bodies of answers are not read on.
const HEAD_MAX: usize = 16 << 10;
const BODY_MAX: usize = 64 << 10;

/// Where something is posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    /// With a query, where there is one.
    pub(super) path: String,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// What `Retry-After` asks for, where it is a number of seconds.
    pub(super) retry_after: Option<Duration>,
    /// As far as it came.
    pub(super) body: String,
}

impl Address {
    /// Of `http://host[:port][/path]`.
    ///
    /// # Errors
    ///
    /// A sentence that says what is not understood, and what to write.
    pub(super) fn parse(url: &str) -> Result<Address, String> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        match scheme.to_ascii_lowercase().as_str() {
            "http" => {}
            "https" => {
                return Err("https is not spoken here; let a collector on this machine receive \
                     over http, as at http://localhost:4318, and forward"
                    .into());
            }
            _ => return Err("write http://host:port, as http://localhost:4318".into()),
        }
        if !url.chars().all(|c| c.is_ascii_graphic()) {
            return Err("write http://host:port, as http://localhost:4318".into());
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err("credentials do not belong into an address; write them as a header, in \
                        OTEL_EXPORTER_OTLP_HEADERS"
                .into());
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(bracketed) => bracketed.split_once(']').ok_or("a `]` is missing")?,
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(digits) => digits.parse().map_err(|_| format!("`{digits}` is no port"))?,
            None if port.is_empty() => 80,
            None => return Err(format!("`{port}` is no port")),
        };
        if host.is_empty() {
            return Err("write http://host:port, as http://localhost:4318".into());
        }
        let path = if path.starts_with('/') { path.into() } else { format!("/{path}") };
        Ok(Address { host: host.into(), port, path })
    }

    /// Host and port, as they stand in addresses and in the header `Host`.
    pub(super) fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Posts `body` as JSON and waits for the answer, until the deadline at the latest.
///
/// # Errors
///
/// Where there is no answer; one that says no is an answer.
pub(super) fn post(
    address: &Address,
    headers: &[(String, String)],
    body: &[u8],
    deadline: Instant,
) -> io::Result<Answer> {
    let mut socket = connect(address, deadline)?;
    socket.set_nodelay(true)?;
    let mut head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: fuzz_dist/{}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n",
        address.path,
        address.authority(),
        env!("CARGO_PKG_VERSION"),
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    // A server may answer, and close, before it has read everything: then its answer counts.
    let sent = write(&mut socket, head.as_bytes(), deadline)
        .and_then(|()| write(&mut socket, body, deadline));
    let answered = answer(&mut socket, deadline);
    match (sent, answered) {
        (_, Ok(answer)) => Ok(answer),
        (Err(sent), Err(_)) => Err(sent),
        (Ok(()), Err(answered)) => Err(answered),
    }
}

fn connect(address: &Address, deadline: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let all: Vec<SocketAddr> = (address.host.as_str(), address.port).to_socket_addrs()?.collect();
    for one in all {
        match TcpStream::connect_timeout(&one, left(deadline)?) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The time that is left; an error where there is none, since a limit of nothing means for ever.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(io::ErrorKind::TimedOut.into()),
        false => Ok(left),
    }
}

fn write(socket: &mut TcpStream, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        socket.set_write_timeout(Some(left(deadline)?))?;
        match socket.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Reads until `enough` says so or the other side has closed; did it close?
fn read(
    socket: &mut TcpStream,
    into: &mut Vec<u8>,
    deadline: Instant,
    enough: impl Fn(&[u8]) -> bool,
) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    while !enough(into) {
        socket.set_read_timeout(Some(left(deadline)?))?;
        match socket.read(&mut buffer) {
            Ok(0) => return Ok(true),
            Ok(n) => into.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(false)
}

fn answer(socket: &mut TcpStream, deadline: Instant) -> io::Result<Answer> {
    let broken = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_string());
    let mut bytes = Vec::new();
    loop {
        let ended = |bytes: &[u8]| end_of_head(bytes).is_some() || bytes.len() > HEAD_MAX;
        read(socket, &mut bytes, deadline, ended)?;
        let Some(end) = end_of_head(&bytes) else {
            return Err(match bytes.len() {
                0 => io::Error::new(io::ErrorKind::UnexpectedEof, "it closed without an answer"),
                _ => io::Error::new(io::ErrorKind::UnexpectedEof, "its answer is cut off"),
            });
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let rest = bytes.split_off(end);
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(status).ok_or_else(|| broken("it speaks no HTTP"))?;
        // Something like `100 Continue` comes before the answer.
        if (100..200).contains(&status) {
            bytes = rest;
            continue;
        }
        let headers: Vec<(String, &str)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim()))
            .collect();
        let header = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| *value);
        let chunked =
            header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked"));
        let length = header("content-length").and_then(|v| v.parse::<usize>().ok());
        let retry_after = header("retry-after").and_then(|v| v.parse().ok());
        let mut body = rest;
        let whole = |body: &[u8]| match length {
            _ if body.len() >= BODY_MAX => true,
            _ if chunked => body.ends_with(b"0\r\n\r\n"),
            Some(length) => body.len() >= length,
            None => false,
        };
        // The status is the answer; a body that is cut off, or late, takes nothing from it.
        let _ = read(socket, &mut body, deadline, whole);
        let body = if chunked { unchunked(&body) } else { body };
        return Ok(Answer {
            status,
            retry_after: retry_after.map(Duration::from_secs),
            body: String::from_utf8_lossy(&body).into_owned(),
        });
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// Of `HTTP/1.1 200 OK`.
fn status(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.")?.get(1..)?.strip_prefix(' ')?;
    rest.get(..3)?.parse().ok().filter(|status| (100..600).contains(status))
}

/// The chunks that are whole, one after the other.
fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let size = String::from_utf8_lossy(&bytes[..end]);
        let size = usize::from_str_radix(size.split(';').next().unwrap_or("").trim(), 16);
        let Ok(size @ 1..=BODY_MAX) = size else { break };
        let Some(chunk) = bytes.get(end + 2..end + 2 + size) else { break };
        whole.extend_from_slice(chunk);
        bytes = bytes.get(end + 4 + size..).unwrap_or_default();
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let read = |url: &str| Address::parse(url).map(|a| (a.authority(), a.path));
        let ok = |authority: &str, path: &str| Ok((authority.to_string(), path.to_string()));
        assert_eq!(read("http://localhost:4318/v1/traces"), ok("localhost:4318", "/v1/traces"));
        assert_eq!(read("HTTP://collector"), ok("collector:80", "/"));
        assert_eq!(read("http://[::1]:4318/a?b=c"), ok("[::1]:4318", "/a?b=c"));
        assert_eq!(read("http://h:1?x"), ok("h:1", "/?x"));
        for (url, part) in [
            ("https://c:4318", "https is not spoken here"),
            ("localhost:4318", "write http://host:port"),
            ("http://", "write http://host:port"),
            ("http://a b", "write http://host:port"),
            ("http://a\r\nX: y", "write http://host:port"),
            ("http://me:secret@c", "header"),
            ("http://c:port", "no port"),
            ("http://c:70000", "no port"),
            ("http://[::1", "`]` is missing"),
        ] {
            let error = read(url).unwrap_err();
            assert!(error.contains(part), "{url}: {error}");
        }
    }

    #[test]
    fn chunks_are_put_together_as_far_as_they_came() {
        assert_eq!(unchunked(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"), b"abcde");
        assert_eq!(unchunked(b"3\r\nabc\r\n5\r\nde"), b"abc");
        assert_eq!(unchunked(b"nonsense"), b"");
        assert_eq!(unchunked(b"ffffffffffffffff\r\na"), b"");
    }

    #[test]
    fn only_http_is_an_answer() {
        assert_eq!(status("HTTP/1.1 200 OK"), Some(200));
        assert_eq!(status("HTTP/1.0 503"), Some(503));
        for line in ["HTTP/2 200", "SSH-2.0-x", "HTTP/1.1 20", "HTTP/1.1 999 x", "HTTP/1.é 200"] {
            assert_eq!(status(line), None, "{line}");
        }
    }
}
