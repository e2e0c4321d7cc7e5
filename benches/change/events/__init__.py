"""What happens to the gateways: each event is a file, with its title, its rows, and the play itself."""

from . import buckets, dns, down, places, reload

EVENTS = {"reload": reload, "buckets": buckets, "places": places, "down": down, "dns": dns}
