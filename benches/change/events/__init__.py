"""What happens to the gateways: each event is a file, with its title, its rows, and the play itself."""

from . import buckets, dns, down, reload

EVENTS = {"reload": reload, "buckets": buckets, "down": down, "dns": dns}
