"""Which environment variables an agent is given: a short list, never the host's whole set.

What can change an energy figure from outside the campaign file (threads, memory allocators) is
passed on, because it is the user's own setting; anything that could hold a secret is not.
"""

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from lem.meters import machine

THREADS = (
    *("OMP_", "MKL_", "KMP_", "GOMP_", "OPENBLAS_", "GGML_", "TOKENIZERS_PARALLELISM"),
    "VLLM_CPU_",
)
"""Prefixes of the variables that set how an engine uses the processor."""

OF_A_PROCESS = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "LD_LIBRARY_PATH",
    "CUDA_HOME",
    "CUDA_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)
"""What a bare process needs of the machine, beyond what a container gets."""

OF_THE_NETWORK = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HF_ENDPOINT",
)
"""Handed over like secrets, because a proxy's address may hold a password."""


def settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The user's own settings that engines obey, from the host's environment."""
    return {k: v for k, v in environ.items() if k.startswith(THREADS)}


def common(home: str, network: bool, owner: str) -> dict[str, str]:
    """What every agent is told, however it is started."""
    fixed = {
        "HOME": home,
        # Engines ask for the user's name; an unknown uid has none.
        "USER": "lem",
        "LOGNAME": "lem",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        # The run's folder must not be a place to import from.
        "PYTHONSAFEPATH": "1",
        # CUDA would count the fastest GPU first; meters count by bus, as `gpus` does.
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "LEM_OWNER": owner,
    }
    if not network:
        fixed |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    return fixed


def of_process(environ: Mapping[str, str]) -> dict[str, str]:
    """What a bare process gets of the host's environment."""
    return {k: environ[k] for k in OF_A_PROCESS if k in environ}


def of_meters(environ: Mapping[str, str]) -> dict[str, str]:
    """Where a bare process finds the machine's own list of power meters, its home being another;
    nothing where there is none. Containers reach no meter outside: they have no network."""
    file = machine.path(environ)
    return {"LEM_METERS": str(file.absolute())} if file.is_file() else {}


def of_network(environ: Mapping[str, str]) -> dict[str, str]:
    """Proxies and mirrors, for a task that may use the network."""
    return {k: environ[k] for k in OF_THE_NETWORK if k in environ}


def passwords(environ: Mapping[str, str]) -> list[str]:
    """What must not be seen of the variables in :func:`of_network`: the passwords in addresses."""
    found: set[str] = set()
    for value in of_network(environ).values():
        try:
            password = urlsplit(value if "//" in value else f"//{value}").password
        except ValueError:
            continue
        if password:
            found |= {password, unquote(password)}
    return sorted(found)
