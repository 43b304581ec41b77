//! What is said to a SOCKS proxy: versions 4, 4a and 5 (RFC 1928 and 1929).

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};

use super::problem::Problem;

/// Where a proxy connects to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target<'a> {
    Address(SocketAddr),
    /// A host that the proxy looks up.
    Name(&'a str, u16),
}

impl Target<'_> {
    fn port(&self) -> [u8; 2] {
        match self {
            Self::Address(address) => address.port(),
            Self::Name(_, port) => *port,
        }
        .to_be_bytes()
    }
}

fn refused(said: impl Into<String>) -> Problem {
    Problem::RefusedBySocks(said.into())
}

/// A text with its length before it.
fn push(bytes: &mut Vec<u8>, text: &str, what: &str) -> Result<(), Problem> {
    let length = u8::try_from(text.len());
    bytes.push(length.map_err(|_| refused(format!("{what} is longer than 255 bytes")))?);
    bytes.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Has a proxy of version 5 connect further.
pub(super) fn version_5(
    stream: &mut (impl Read + Write),
    target: Target<'_>,
    user: Option<(&str, &str)>,
) -> Result<(), Problem> {
    let greeting: &[u8] = match user {
        Some(_) => &[5, 2, 0, 2],
        None => &[5, 1, 0],
    };
    stream.write_all(greeting)?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen)?;
    match (chosen, user) {
        ([5, 0], _) => {}
        ([5, 2], Some((user, password))) => {
            let mut bytes = vec![1];
            push(&mut bytes, user, "the user name")?;
            push(&mut bytes, password, "the password")?;
            stream.write_all(&bytes)?;
            stream.read_exact(&mut chosen)?;
            if chosen[1] != 0 {
                return Err(refused(
                    "it refuses the user name and the password in its URL",
                ));
            }
        }
        ([5, 255], None) => {
            return Err(refused("it wants a user name and a password in its URL"));
        }
        ([5, _], _) => return Err(refused("it wants to be asked in a way that is not spoken")),
        _ => return Err(refused("it does not speak SOCKS 5")),
    }
    let mut bytes = vec![5, 1, 0];
    match target {
        Target::Address(address) => match address.ip() {
            IpAddr::V4(ip) => {
                bytes.push(1);
                bytes.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                bytes.push(4);
                bytes.extend_from_slice(&ip.octets());
            }
        },
        Target::Name(host, _) => {
            bytes.push(3);
            push(&mut bytes, host, "the host")?;
        }
    }
    bytes.extend_from_slice(&target.port());
    stream.write_all(&bytes)?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    let rest = match answer {
        [5, 0, _, 1] => 4 + 2,
        [5, 0, _, 4] => 16 + 2,
        [5, 0, _, 3] => {
            let mut length = [0; 1];
            stream.read_exact(&mut length)?;
            usize::from(length[0]) + 2
        }
        [5, code, ..] => return Err(refused(meaning(code))),
        _ => return Err(refused("it does not speak SOCKS 5")),
    };
    Ok(stream.read_exact(&mut vec![0; rest])?)
}

fn meaning(code: u8) -> String {
    let said = match code {
        1 => "it failed",
        2 => "its rules do not allow it",
        3 => "the network is unreachable",
        4 => "the host is unreachable",
        5 => "the connection was refused",
        6 => "it took too long",
        7 => "it does not take this command",
        8 => "it does not take this kind of address",
        _ => return format!("it answers {code}, and does not connect further"),
    };
    format!("it does not connect further: {said}")
}

/// Has a proxy of version 4, or 4a for a name, connect further.
pub(super) fn version_4(
    stream: &mut (impl Read + Write),
    target: Target<'_>,
    user: Option<&str>,
) -> Result<(), Problem> {
    let ip = match target {
        Target::Address(address) => match address.ip() {
            IpAddr::V4(ip) => ip.octets(),
            IpAddr::V6(_) => return Err(refused("SOCKS 4 takes no IPv6 address")),
        },
        Target::Name(..) => [0, 0, 0, 1],
    };
    let mut bytes = vec![4, 1];
    bytes.extend_from_slice(&target.port());
    bytes.extend_from_slice(&ip);
    for text in [user, name(target)].into_iter().flatten() {
        if text.contains('\0') {
            return Err(refused("a name cannot hold a zero byte"));
        }
    }
    bytes.extend_from_slice(user.unwrap_or_default().as_bytes());
    bytes.push(0);
    if let Some(host) = name(target) {
        bytes.extend_from_slice(host.as_bytes());
        bytes.push(0);
    }
    stream.write_all(&bytes)?;
    let mut answer = [0; 8];
    stream.read_exact(&mut answer)?;
    match answer {
        [0, 90, ..] => Ok(()),
        [0, 91, ..] => Err(refused("it does not connect further: it failed")),
        [0, 92 | 93, ..] => Err(refused("it does not know the user name in its URL")),
        _ => Err(refused("it does not speak SOCKS 4")),
    }
}

fn name(target: Target<'_>) -> Option<&str> {
    match target {
        Target::Name(host, _) => Some(host),
        Target::Address(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// A proxy with its answers ready.
    struct Proxy {
        answers: io::Cursor<Vec<u8>>,
        heard: Vec<u8>,
    }

    impl Read for Proxy {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.answers.read(buffer)
        }
    }

    impl Write for Proxy {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.heard.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    type Ask<'a> = &'a dyn Fn(&mut Proxy) -> Result<(), Problem>;

    fn talk(answers: &[u8], ask: Ask<'_>) -> (Result<(), String>, Vec<u8>) {
        let mut proxy = Proxy {
            answers: io::Cursor::new(answers.to_vec()),
            heard: Vec::new(),
        };
        let result = ask(&mut proxy).map_err(|problem| format!("{problem:?}"));
        (result, proxy.heard)
    }

    #[test]
    fn each_version_is_spoken() {
        let v4 = Target::Address(([10, 0, 0, 1], 80).into());
        let v6 = Target::Address("[::1]:80".parse().unwrap());
        let named = Target::Name("h", 443);
        let ok = [5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let ok_name = [5, 0, 5, 0, 0, 3, 1, b'x', 0, 0];
        let ok_user = [5, 2, 1, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let ok_4 = [0, 90, 0, 0, 0, 0, 0, 0];
        let user = Some(("u", "pw"));
        let mut six = vec![5, 1, 0, 5, 1, 0, 4];
        six.extend_from_slice(&[0; 15]);
        six.extend_from_slice(&[1, 0, 80]);
        let table: [(Ask<'_>, &[u8], Vec<u8>); 6] = [
            (
                &|proxy| version_5(proxy, v4, None),
                &ok,
                vec![5, 1, 0, 5, 1, 0, 1, 10, 0, 0, 1, 0, 80],
            ),
            (&|proxy| version_5(proxy, v6, None), &ok, six),
            (
                &|proxy| version_5(proxy, named, None),
                &ok_name,
                vec![5, 1, 0, 5, 1, 0, 3, 1, b'h', 1, 187],
            ),
            (
                &|proxy| version_5(proxy, v4, user),
                &ok_user,
                [
                    &[5, 2, 0, 2, 1, 1, b'u', 2, b'p', b'w'][..],
                    &[5, 1, 0, 1, 10, 0, 0, 1, 0, 80],
                ]
                .concat(),
            ),
            (
                &|proxy| version_4(proxy, v4, None),
                &ok_4,
                vec![4, 1, 0, 80, 10, 0, 0, 1, 0],
            ),
            (
                &|proxy| version_4(proxy, named, Some("u")),
                &ok_4,
                vec![4, 1, 1, 187, 0, 0, 0, 1, b'u', 0, b'h', 0],
            ),
        ];
        for (step, (ask, answers, said)) in table.into_iter().enumerate() {
            assert_eq!(talk(answers, ask), (Ok(()), said), "step {step}");
        }
    }

    #[test]
    fn a_refusal_says_why() {
        let target = Target::Name("h", 443);
        let five: Ask<'_> = &|proxy| version_5(proxy, target, None);
        let known: Ask<'_> = &|proxy| version_5(proxy, target, Some(("u", "s3cret")));
        let four: Ask<'_> = &|proxy| version_4(proxy, target, None);
        let long = "x".repeat(256);
        let long: Ask<'_> = &|proxy| version_5(proxy, Target::Name(&long, 1), None);
        let table: [(Ask<'_>, &[u8], &str); 9] = [
            (five, &[5, 255], "wants a user name"),
            (known, &[5, 255], "not spoken"),
            (known, &[5, 2, 1, 1], "refuses the user name"),
            (five, &[5, 0, 5, 5, 0, 1], "was refused"),
            (five, &[5, 0, 5, 77, 0, 1], "answers 77"),
            (five, b"HTTP/1.1 400", "does not speak SOCKS 5"),
            (four, &[0, 91, 0, 0, 0, 0, 0, 0], "it failed"),
            (four, b"HTTP/1.1", "does not speak SOCKS 4"),
            (long, &[5, 0], "longer than 255"),
        ];
        for (step, (ask, answers, expected)) in table.into_iter().enumerate() {
            let said = talk(answers, ask).0.unwrap_err();
            assert!(said.contains(expected), "step {step}: {said}");
            assert!(!said.contains("s3cret"), "step {step}: {said}");
        }
        assert!(talk(&[5], five).0.unwrap_err().contains("Eof"));
    }
}
