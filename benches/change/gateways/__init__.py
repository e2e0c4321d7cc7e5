"""The gateways, each set up as its own pages advise, and changed in its own way."""

from .envoy import Envoy, EnvoyLeaving
from .haproxy import Haproxy
from .nginx import Nginx
from .tidegate import Tidegate
from .traefik import Traefik

KINDS = {kind.name: kind for kind in (Nginx, Haproxy, Envoy, EnvoyLeaving, Traefik, Tidegate)}
