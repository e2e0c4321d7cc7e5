//! TLS with an endpoint that did not do.

use super::Guide;

pub(super) const TIME: Guide = Guide {
    means: "The connection was taken, and then the TLS handshake did not end in time.",
    reasons: &[
        "The port does not speak TLS and waits for a request.",
        "The service is overloaded: handshakes cost it processor time.",
        "Packets of full size are lost on the way (path MTU): the certificate does not come through.",
    ],
    look: &[
        "`tidegate doctor UPSTREAM`: does the connection come about, and how much do packets carry?",
        "`openssl s_client -connect HOST:PORT` from the gateway's host: where does it stop?",
        "`ping -M do -s 1472 HOST`: does a full packet get through?",
    ],
    prevent: &[
        "The right port, and `tls` only where it is spoken.",
        "Keep-alive, so that handshakes are rare.",
    ],
};

pub(super) const PROTOCOL: Guide = Guide {
    means: "What came back in the handshake is not TLS, or breaks its rules.",
    reasons: &[
        "The port speaks plain HTTP.",
        "The port speaks another protocol that begins in the clear.",
        "A device in between that answers in the service's name.",
    ],
    look: &[
        "`tidegate doctor UPSTREAM`: what is said in the handshake?",
        "`curl -v http://HOST:PORT/` from the gateway's host: does it answer in plain?",
        "`openssl s_client -connect HOST:PORT`: does it come to a certificate?",
    ],
    prevent: &["`tls` of the upstream only where the port speaks it."],
};

pub(super) const MISMATCH: Guide = Guide {
    means: "The service speaks TLS, and chose what is not spoken here: a version below TLS 1.2, a weak cipher, or no HTTP/2 where `protocol` asks for it.",
    reasons: &[
        "An old service that knows TLS 1.0 or 1.1 only.",
        "`protocol` says `h2`, and the service agrees on HTTP/1.1 only.",
        "A library that was built without elliptic curves.",
    ],
    look: &[
        "`tidegate doctor UPSTREAM`: what is said in the handshake?",
        "`openssl s_client -connect HOST:PORT -tls1_2`: does it come to a certificate?",
        "`openssl s_client -connect HOST:PORT -alpn h2`: what does it agree on?",
    ],
    prevent: &[
        "TLS 1.2 or newer at the service.",
        "`protocol` as the service speaks it, or the word that lets the two agree.",
    ],
};

pub(super) const NAME: Guide = Guide {
    means: "The service showed a certificate for another name than the one that was asked for. Nothing was sent.",
    reasons: &[
        "The name in the config is not one of the certificate's, as where an address stands in the place of a name.",
        "Another service answers at this address: a DNS change, or a default site of a shared server.",
        "A wildcard that covers one label, where the name has two.",
    ],
    look: &[
        "`tidegate doctor UPSTREAM`: which names does it show?",
        "The detail in the gateway's log: which name was expected, and which ones were shown.",
        "`openssl s_client -connect HOST:PORT -servername NAME`: which names does it show?",
    ],
    prevent: &["`server_name` under `tls` of the upstream, as it stands in the certificate."],
};

pub(super) const EXPIRED: Guide = Guide {
    means: "The service showed a certificate whose time is over. Nothing was sent.",
    reasons: &[
        "Nobody renewed it, or the program that does so fails.",
        "It was renewed, and the service was not told to read it anew.",
        "The clock of this host is ahead.",
    ],
    look: &[
        "`tidegate doctor UPSTREAM`: the last day of what each address shows.",
        "`openssl s_client -connect HOST:PORT -servername NAME`: until when is it valid?",
        "`date` on the gateway's host.",
        "Whether only some endpoints show the old one.",
    ],
    prevent: &["Renew by a program that also has the service read it, and alert weeks ahead."],
};

pub(super) const NOT_YET_VALID: Guide = Guide {
    means: "The service showed a certificate whose time has not begun. Nothing was sent.",
    reasons: &[
        "The clock of this host is behind, as after a resume or without a time server.",
        "A certificate that was put in place before its time.",
    ],
    look: &[
        "`date` on the gateway's host.",
        "`openssl s_client -connect HOST:PORT -servername NAME`: since when is it valid?",
    ],
    prevent: &["A time server for every host, and certificates that begin some hours back."],
};

pub(super) const UNKNOWN_ISSUER: Guide = Guide {
    means: "The service showed a certificate of an issuer that is not trusted here. Nothing was sent.",
    reasons: &[
        "A private authority that `ca` does not name.",
        "The chain is sent without its intermediate certificate.",
        "The authority was replaced by one of the same name, and `ca` still holds the old one.",
        "Somebody in between shows a certificate of their own.",
    ],
    look: &[
        "`tidegate doctor UPSTREAM`: the chain as it is sent, and its issuer.",
        "`openssl s_client -connect HOST:PORT -servername NAME -showcerts`: who issued it, and is the chain whole?",
        "Whether the file of `ca` holds that issuer.",
    ],
    prevent: &[
        "`ca` under `tls` of the upstream; old and new authority together while one replaces the other.",
        "The whole chain at the service.",
    ],
};

pub(super) const CERTIFICATE: Guide = Guide {
    means: "The service showed no certificate, or one that is wrong in another way than by its name, its dates and its issuer: for another purpose, signed in a way that is not safe, or not readable. Nothing was sent.",
    reasons: &[
        "A certificate for clients, or an authority's own, in the place of a server's.",
        "A signature of a kind that is no longer safe.",
        "A file that was damaged or put together wrongly.",
    ],
    look: &[
        "The detail in the gateway's log.",
        "`openssl s_client -connect HOST:PORT -servername NAME -showcerts`: purpose, signature, chain.",
    ],
    prevent: &["Certificates from one authority's program, for servers."],
};

pub(super) const ALERT_MISMATCH: Guide = Guide {
    means: "The service ended the handshake with an alert that says: none of the versions, ciphers or protocols that were offered will do.",
    reasons: &[
        "An old service that knows TLS 1.0 or 1.1 only.",
        "A service whose ciphers were cut down to what is not spoken here.",
        "It wants a client certificate: some say so with this very alert.",
        "`protocol` asks for HTTP/2, which the service does not take.",
    ],
    look: &[
        "The alert's name in the gateway's log.",
        "`openssl s_client -connect HOST:PORT -tls1_2`, and the service's log: it knows why.",
    ],
    prevent: &[
        "TLS 1.2 or newer at the service, with the ciphers that everybody has.",
        "`protocol` as the service speaks it.",
    ],
};

pub(super) const ALERT: Guide = Guide {
    means: "The service itself ended TLS with an alert, for another reason than versions and ciphers.",
    reasons: &[
        "It wants a client certificate.",
        "It does not know the server name that was asked for.",
        "It failed inside, or closed while it shook hands.",
    ],
    look: &[
        "The alert's name in the gateway's log.",
        "The service's log: it knows why.",
    ],
    prevent: &["`server_name` under `tls` of the upstream."],
};
