"""Every setting, and the only module that reads the environment.

A value that makes no sense stops the boot with its variable's name.  `.env.example` lists every
variable.  With no DATABASE_URL or REDIS_URL the addresses are those of the servers that
`manage.py up` starts under `var/`.
"""

import os
import re
import secrets
import warnings
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from environs import Env

from gateway.providers.reachability import PrivateHost
from scalix.admin_site import UNFOLD  # noqa: F401 (a setting, by being in this module)
from scalix.embedded.paths import EmbeddedPaths
from scalix.embedded.state import running_state

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env()
env.read_env(str(BASE_DIR / ".env"), recurse=False)

# The embedded parts -------------------------------------------------------------------------

EMBEDDED_PATHS = EmbeddedPaths(Path(env.str("SCALIX_VAR", str(BASE_DIR / "var"))).resolve())
DATABASE_URL: str = env.str("DATABASE_URL", "") or EMBEDDED_PATHS.postgres_dsn
REDIS_URL: str = env.str("REDIS_URL", "") or EMBEDDED_PATHS.valkey_url
EMBEDDED_POSTGRES = DATABASE_URL == EMBEDDED_PATHS.postgres_dsn  # noqa: SIM300
EMBEDDED_VALKEY = REDIS_URL == EMBEDDED_PATHS.valkey_url  # noqa: SIM300
PORT: int = env.int("PORT", 8000)
WEB_PROCESSES: int = env.int("WEB_PROCESSES", 2)

# Providers: what the catalogue's rows may name, by variable name, and nothing else ----------

_PROVIDER_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*_(API_KEY|API_BASE|BASE_URL|URL|MODEL)")
_NOT_PROVIDERS = {
    "DATABASE_URL",
    "REDIS_URL",
    "EMAIL_URL",
    "PUBLIC_URL",
    "STRIPE_API_KEY",
    "STRIPE_API_BASE",
}
PROVIDER_VARIABLES: dict[str, str] = {
    name: value
    for name, value in os.environ.items()
    if value and _PROVIDER_VARIABLE.fullmatch(name) and name not in _NOT_PROVIDERS
}


def _private_hosts(text: str) -> tuple[PrivateHost, ...]:
    try:
        return tuple(
            host for one in text.split(",") if one.strip() for host in PrivateHost.read(one)
        )
    except ValueError as error:
        raise SystemExit(f"PROVIDER_PRIVATE_HOSTS: {error}") from error


# Where providers may be called beside public addresses and those that the variables above hold.
PROVIDER_PRIVATE_HOSTS = _private_hosts(env.str("PROVIDER_PRIVATE_HOSTS", ""))

_UPSTREAMS = {"UPSTREAM_BASE_URL"} | {
    f"{provider}_API_KEY"
    for provider in ("GEMINI", "OPENROUTER", "OPENAI", "ANTHROPIC", "DEEPSEEK", "SCALIX_PRO")
}
EMBEDDED_DEMO_MODEL: bool = env.bool(
    "SCALIX_DEMO_MODEL", default=not (_UPSTREAMS & PROVIDER_VARIABLES.keys())
)

# What a completion may take -----------------------------------------------------------------

GATEWAY_DEADLINE_SECONDS: float = env.float("GATEWAY_DEADLINE_SECONDS", 300.0)
GATEWAY_CONNECT_SECONDS: float = env.float("GATEWAY_CONNECT_SECONDS", 5.0)
GATEWAY_SILENCE_SECONDS: float = env.float("GATEWAY_SILENCE_SECONDS", 60.0)
# How long a request waits for its turn where every provider that it could go to is busy.  Pro goes
# first, then free, then visitors.
GATEWAY_PATIENCE_SECONDS: dict[str, float] = {
    "pro": env.float("GATEWAY_PATIENCE_PRO", 30.0),
    "free": env.float("GATEWAY_PATIENCE_FREE", 10.0),
    "visitor": env.float("GATEWAY_PATIENCE_VISITOR", 5.0),
}
# A stream that is silent for so long says that there is more to come.
GATEWAY_KEEP_ALIVE_SECONDS: float = env.float("GATEWAY_KEEP_ALIVE_SECONDS", 15.0)
GATEWAY_BODY_BYTES: int = env.int("GATEWAY_BODY_BYTES", 8 * 1024 * 1024)
# The largest answer that is kept for its Idempotency-Key.
GATEWAY_KEPT_ANSWER_BYTES: int = env.int("GATEWAY_KEPT_ANSWER_BYTES", 1024 * 1024)

REDIS_AWAY: str = env.str("REDIS_AWAY", "refuse")
if REDIS_AWAY not in ("refuse", "ledger"):
    raise SystemExit(f"REDIS_AWAY is refuse or ledger, not {REDIS_AWAY!r}.")


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(one.strip()) for one in text.split(",") if one.strip())
    except ValueError as error:
        raise SystemExit(f"TRUSTED_PROXIES: {error}") from error


# Whose X-Forwarded-For is believed.
TRUSTED_PROXIES = _networks(env.str("TRUSTED_PROXIES", ""))
RATELIMIT_IP_META_KEY = "accounts.addresses.address_of"

# What is kept ------------------------------------------------------------------------------

LEDGER_MONTHS: int = env.int("LEDGER_MONTHS", 13)
REFUSAL_MONTHS: int = env.int("REFUSAL_MONTHS", 3)
for _name, _months in (("LEDGER_MONTHS", LEDGER_MONTHS), ("REFUSAL_MONTHS", REFUSAL_MONTHS)):
    if _months < 1:
        raise SystemExit(f"{_name} is {_months}: whole months that are kept, 1 at least.")

# Django -------------------------------------------------------------------------------------


def _kept(kept: Path, made: str) -> str:
    """A secret of this installation's own, under var/: `made`, unless there is one already."""
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=kept.parent, prefix=f"{kept.name}.") as file:  # mode 0600
            file.write(made)
            file.flush()
            # Complete from its first moment; of two processes that start at once one wins.
            with suppress(FileExistsError):
                os.link(file.name, kept)
    return kept.read_text()


def _secret_key() -> str:
    """SECRET_KEY, or one of our own while the database is the embedded one."""
    given: str = env.str("SECRET_KEY", "")
    if given:
        return given
    if not EMBEDDED_POSTGRES:
        raise SystemExit("SECRET_KEY is not set. With a DATABASE_URL of your own, set it too.")
    return _kept(EMBEDDED_PATHS.var / "secret_key", secrets.token_urlsafe(48))


SECRET_KEY = _secret_key()
DEBUG: bool = env.bool("DEBUG", False)
PUBLIC_URL: str = env.str("PUBLIC_URL", "").rstrip("/") or f"http://127.0.0.1:{PORT}"
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
_OVER_TLS = PUBLIC_URL.startswith("https://")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if _OVER_TLS else []
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _OVER_TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _OVER_TLS else None
SECURE_HSTS_SECONDS = 31_536_000 if _OVER_TLS else 0
SECURE_REFERRER_POLICY = "strict-origin-when-cross-origin"
X_FRAME_OPTIONS = "DENY"

INSTALLED_APPS = [
    "scalix",
    "accounts",
    "billing",
    "gateway",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "rest_framework",
    "adrf",
    "csp",
    "drf_spectacular_sidecar",  # Swagger UI's files
]

MIDDLEWARE = [  # of the pages and the admin; /v1 and /api/v1 have their own: scalix/asgi.py
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "scalix.content_security.ContentSecurityPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "scalix.urls"
ASGI_APPLICATION = "scalix.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "gateway.pages.context.plan",
                "billing.pages.context.payments",
            ],
        },
    }
]

# Data ---------------------------------------------------------------------------------------


def _database() -> dict[str, Any]:
    """Django's form of DATABASE_URL; the gateway's own connections are made from it, too."""
    from psycopg.conninfo import conninfo_to_dict

    given = conninfo_to_dict(DATABASE_URL)
    known = {
        "dbname": "NAME",
        "user": "USER",
        "password": "PASSWORD",
        "host": "HOST",
        "port": "PORT",
    }
    database: dict[str, Any] = {name: str(given.pop(key, "") or "") for key, name in known.items()}
    return {
        "ENGINE": "django.db.backends.postgresql",
        **database,
        "OPTIONS": {"connect_timeout": 3, **given},
        # A page's thread ends with its request, and a connection that outlived it would be lost:
        # under ASGI a few hundred page views would take all that Postgres has.
        "CONN_MAX_AGE": 0,
    }


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
}
SILENCED_SYSTEM_CHECKS = [
    "django_ratelimit.E003",  # Django's Redis cache counts atomically; the check does not know it
    "django_ratelimit.W001",
    "security.W005",  # whether the subdomains speak TLS too isn't ours to promise
    "security.W008",  # the proxy that ends TLS redirects; the probes behind it come over HTTP
    "security.W021",  # nor is a place on the browsers' preload list
]

STATIC_URL = "/static/"
STATIC_ROOT: Path = env.path("STATIC_ROOT", EMBEDDED_PATHS.var / "static")
STATICFILES_DIRS = [BASE_DIR / "static"]
# Collected and hashed in an image; straight from the packages where nobody ran collectstatic.
_STATIC_COLLECTED: bool = env.bool("STATIC_COLLECTED", False)
WHITENOISE_USE_FINDERS = not _STATIC_COLLECTED
if not _STATIC_COLLECTED:  # WhiteNoise would warn at every start that STATIC_ROOT isn't there
    warnings.filterwarnings("ignore", "No directory at", UserWarning)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if _STATIC_COLLECTED
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

LANGUAGE_CODE = "en-gb"
FORMAT_MODULE_PATH = "scalix.formats"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

# People -------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "dashboard"
ACCOUNT_LOGOUT_REDIRECT_URL = "landing"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {
    "signup": "accounts.forms.SignUpForm",
    "login": "accounts.forms.LogInForm",
    "reset_password": "accounts.forms.PasswordResetForm",
    "reset_password_from_key": "accounts.forms.NewPasswordForm",
    "change_password": "accounts.forms.PasswordChangeForm",
    "reauthenticate": "accounts.forms.PasswordAgainForm",
    "add_email": "accounts.forms.NewEmailForm",
}
CSRF_FAILURE_VIEW = "gateway.pages.failures.csrf_failure"

_EMAIL = env.dj_email_url("EMAIL_URL", "console:")
EMAIL_BACKEND = _EMAIL["EMAIL_BACKEND"]
EMAIL_HOST = _EMAIL.get("EMAIL_HOST") or "localhost"
EMAIL_PORT = _EMAIL.get("EMAIL_PORT") or 25
EMAIL_HOST_USER = _EMAIL.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD = _EMAIL.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS = bool(_EMAIL.get("EMAIL_USE_TLS"))
EMAIL_USE_SSL = bool(_EMAIL.get("EMAIL_USE_SSL"))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL: str = env.str("DEFAULT_FROM_EMAIL", "Scalix <scalix@localhost>")
_MAIL_LEAVES = not EMAIL_BACKEND.endswith("console.EmailBackend")
ACCOUNT_EMAIL_VERIFICATION: str = env.str(
    "EMAIL_VERIFICATION", "mandatory" if _MAIL_LEAVES else "optional"
)
if ACCOUNT_EMAIL_VERIFICATION not in ("mandatory", "optional"):
    raise SystemExit("EMAIL_VERIFICATION is neither `mandatory` nor `optional`.")

# Payments -----------------------------------------------------------------------------------

STRIPE_SECRET_KEY: str = env.str("STRIPE_SECRET_KEY", "")
STRIPE_WEBHOOK_SECRETS: list[str] = env.list("STRIPE_WEBHOOK_SECRET", [])
STRIPE_API_BASE: str = env.str("STRIPE_API_BASE", "").rstrip("/")
_LIVE = STRIPE_SECRET_KEY.startswith(("sk_live_", "rk_live_"))
EMBEDDED_STRIPE: bool = env.bool(
    "STRIPE_SANDBOX", default=EMBEDDED_POSTGRES and not STRIPE_SECRET_KEY
)
if _LIVE and (EMBEDDED_STRIPE or STRIPE_API_BASE):
    raise SystemExit("STRIPE_SECRET_KEY is a live key: no STRIPE_SANDBOX or STRIPE_API_BASE then.")
if EMBEDDED_STRIPE:
    if STRIPE_SECRET_KEY:
        raise SystemExit("STRIPE_SANDBOX and STRIPE_SECRET_KEY exclude each other.")
    STRIPE_SECRET_KEY = _kept(EMBEDDED_PATHS.sandbox_key, f"sk_test_sandbox{secrets.token_hex(16)}")
    STRIPE_WEBHOOK_SECRETS = [
        _kept(EMBEDDED_PATHS.sandbox_secret, f"whsec_{secrets.token_hex(24)}")
    ]
    if not STRIPE_API_BASE:  # a command in another shell than the supervisor's
        _running = running_state(EMBEDDED_PATHS)
        STRIPE_API_BASE = _running.stripe_url if _running else ""
elif STRIPE_SECRET_KEY and not STRIPE_WEBHOOK_SECRETS:
    raise SystemExit("STRIPE_WEBHOOK_SECRET is not set: without it nobody's payment would count.")
STRIPE_MODE: str = "live" if _LIVE else "sandbox" if EMBEDDED_STRIPE or STRIPE_API_BASE else "test"
PAYMENTS: bool = bool(STRIPE_SECRET_KEY) and (bool(STRIPE_API_BASE) or not EMBEDDED_STRIPE)
# Where a form of ours may lead: browsers hold its redirects against `form-action`, too.
_PAYMENT_PAGES = [STRIPE_API_BASE] if STRIPE_API_BASE else []
if STRIPE_SECRET_KEY and not STRIPE_API_BASE:
    _PAYMENT_PAGES = ["https://checkout.stripe.com", "https://billing.stripe.com"]

# Wire, tasks, logs --------------------------------------------------------------------------

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
}

_CELERY_REDIS = REDIS_URL.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
CELERY_BROKER_URL = _CELERY_REDIS
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_ACKS_LATE = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(EMBEDDED_PATHS.var / "celerybeat-schedule")

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "font-src": ["'self'"],
        "form-action": ["'self'", *_PAYMENT_PAGES],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", "INFO").upper()},
    "loggers": {
        "django": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
        "LiteLLM": {"level": "WARNING"},
        "stripe": {"level": "WARNING"},  # else a line for each call, with ids of customers
    },
}
