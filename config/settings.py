"""All settings, read from the environment (or a .env file beside manage.py), safe by default.

docs/operators.md lists the variables. Without DEBUG a missing secret is a refusal to start that says what to set.
"""

import base64
import hashlib
import logging
from pathlib import Path
from typing import Any

import django_stubs_ext
import environ
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

# Lets `admin.ModelAdmin[Customer]` and its like be written at run time (django-stubs' own recipe).
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"  # what the running system writes by itself; never in git


class Env(environ.Env):  # type: ignore[misc]  # the package carries no types
    """Values that cannot be read are the operator's to mend: one sentence that names the variable."""

    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().get_value(var, *args, **kwargs)
        except ValueError as error:
            raise ImproperlyConfigured(f"{var} cannot be read ({error}).") from None


env = Env()
environ.Env.read_env(env.str("ENV_FILE", default=str(BASE_DIR / ".env")))  # what is set already wins

DEBUG: bool = env.bool("DEBUG", default=False)


def secret(name: str, *, cure: str) -> str:
    """The secret of this name from the environment; while DEBUG, one that is only good for a look round.

    Raises ImproperlyConfigured, saying what to set, when it is missing without DEBUG.
    """
    value: str = env.str(name, default="")
    if value:
        return value
    if DEBUG:
        return base64.urlsafe_b64encode(hashlib.sha256(f"insecure {name}".encode()).digest()).decode()
    raise ImproperlyConfigured(f"set {name} in the environment or in .env ({cure}); `make setup` writes one for you.")


SECRET_KEY = secret("SECRET_KEY", cure="a long random text, the same on every machine")

# Fernet keys, newest first: the first one writes, all of them read.
ENCRYPTION_KEYS: list[str] = [
    key.strip()
    for key in secret("ENCRYPTION_KEYS", cure="one or more Fernet keys, comma-separated, newest first").split(",")
    if key.strip()
]
if not ENCRYPTION_KEYS:
    raise ImproperlyConfigured("ENCRYPTION_KEYS holds no key.")
for _key in ENCRYPTION_KEYS:
    try:
        Fernet(_key)
    except ValueError:
        raise ImproperlyConfigured(
            "ENCRYPTION_KEYS holds a key that is not a Fernet key (32 bytes, url-safe base64, 44 characters). Make one with: "
            "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
        ) from None

ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# --- Applications ----------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "config.apps.LoyaltyAdminConfig",  # django.contrib.admin with our own site
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.forms",  # the templates of its widgets, which FORM_RENDERER lets ours stand before
    "rest_framework",
    "rest_framework_api_key",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_q",
    "customers",
    "integrations",
    "events",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "customers.tenancy.CurrentStoreMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

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
            ],
        },
    },
]

# Widgets are drawn from `templates/` too: the admin's date and time get labels that way.
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

# --- Database --------------------------------------------------------------------------------------------------------

DATABASE_URL: str = env.str("DATABASE_URL", default="")
if not DATABASE_URL:
    VAR_DIR.mkdir(exist_ok=True)
DATABASES = {"default": env.db_url_config(DATABASE_URL or f"sqlite:///{VAR_DIR / 'db.sqlite3'}")}
if not DATABASES["default"].get("ENGINE"):
    raise ImproperlyConfigured("DATABASE_URL cannot be read. Write it as postgres://user:password@host:5432/name.")
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # A deferred transaction that turns from reading to writing fails at once when another one wrote meanwhile;
        # an immediate one waits its turn (https://docs.djangoproject.com/en/5.2/ref/databases/#sqlite-transaction-behavior).
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    if not DATABASES["default"].get("DISABLE_SERVER_SIDE_CURSORS"):  # said where a pooler lends connections out
        options = DATABASES["default"].setdefault("OPTIONS", {})
        # Our own statements, which bind by the server, are planned once for a connection (events/postgresql.py).
        options.setdefault("prepare_threshold", 0)
        # PostgreSQL compiles what it guesses to be expensive: 35 ms for a claim that takes one (docs/performance.md).
        options.setdefault("options", "-c jit=off")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Waking the senders ----------------------------------------------------------------------------------------------

REDIS_URL: str = env.str("REDIS_URL", default="")
BROKER_TIMEOUTS = "socket_timeout=3&socket_connect_timeout=1"

Q_CLUSTER = {
    "name": env.str("CLUSTER_NAME", default="loyalty-events"),
    "workers": env.int("CLUSTER_WORKERS", default=2),
    # A sender works for at most 5 s and then for one more call of 10 s; retry must be longer than timeout, or the broker
    # hands out a task that is still running.
    "timeout": 60,
    "retry": 90,
    "max_attempts": 1,  # a task is only a wake-up: the next one does what this one left
    "ack_failures": True,
    "catch_up": False,
    "save_limit": -1,  # the deliveries are the record, not Django-Q's results
    "label": "Background work",
    # A broker that hangs must not hang the request that recorded an event (the wait for a task is 1 s, so longer than that).
    **(
        {"redis": REDIS_URL + ("&" if "?" in REDIS_URL else "?") + BROKER_TIMEOUTS} if REDIS_URL else {"orm": "default"}
    ),
}

# --- Sending ---------------------------------------------------------------------------------------------------------

# Exact host:port pairs on private networks that integrations may call. Everything else that is not public is refused.
ALLOWED_PRIVATE_HOSTS: frozenset[str] = frozenset(env.list("ALLOWED_PRIVATE_HOSTS", default=[]))
SENDER_SLOTS: int = env.int("SENDER_SLOTS", default=64)  # calls at the same time, per worker process

# The built-in sandbox receiver: offered as a destination, and its one address allowed, only with SANDBOX=1.
SANDBOX: bool = env.bool("SANDBOX", default=False)
SANDBOX_ADDRESS: str = env.str("SANDBOX_ADDRESS", default="127.0.0.1:8070")
if SANDBOX:
    ALLOWED_PRIVATE_HOSTS |= {SANDBOX_ADDRESS}

# Who may read /health/deliveries/ and /metrics/: `Authorization: Bearer` and this. Unset, nobody may.
HEALTH_TOKEN: str = env.str("HEALTH_TOKEN", default="")

# --- People: sign-in, language, mail ---------------------------------------------------------------------------------

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
FORMAT_MODULE_PATH = ["config.formats"]
USE_TZ = True
EMAIL_TIMEOUT = 10  # seconds: a mail server that hangs must not hold a worker
EMAIL_CONFIG = env.email("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
DEFAULT_FROM_EMAIL: str = env.str("DEFAULT_FROM_EMAIL", default="Loyalty Events <loyalty-events@localhost>")

# --- The web ---------------------------------------------------------------------------------------------------------

BIND: str = env.str("BIND", default="127.0.0.1:8000")  # where `manage.py run` listens

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "config" / "static"]
WHITENOISE_USE_FINDERS = True  # static files are served from where they lie: nothing to collect before the first start

HTTPS: bool = env.bool("HTTPS", default=not DEBUG)  # behind a proxy that ends TLS; HTTPS=0 for a look at 127.0.0.1
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics/"]  # probes and scrapers come from within
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_PROXY", default=False) else None
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
X_FRAME_OPTIONS = "DENY"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],  # the icons inside Django admin's own stylesheets
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["customers.tenancy.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["customers.tenancy.HasStore"],
    "DEFAULT_PARSER_CLASSES": ["config.api.ObjectParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "config.api.KeysetPagination",
    "DEFAULT_FILTER_BACKENDS": ["config.api.StrictFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "config.problems.problem_details",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Loyalty Events",
    "DESCRIPTION": "Customers, coins and coupons in; events out to the store's own tools.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "config.schema.add_problems"],
    "ENUM_NAME_OVERRIDES": {
        "WalletTransactionType": "customers.models.coins.WalletTransactionType",
        "WalletTransactionStatus": "customers.models.coins.WalletTransactionStatus",
        "NewWalletTransactionStatus": "customers.serializers.NEW_STATUSES",
        "Operation": "customers.models.coins.Operation",
        "Source": "customers.models.coins.Source",
        "CouponType": "customers.models.offer.CouponType",
        "CouponSource": "customers.models.offer.CouponSource",
        "CouponStatus": "customers.models.offer.CouponStatus",
        "ValueType": "customers.models.offer.ValueType",
        "OrderStatus": "customers.models.orders.OrderStatus",
        "FinancialStatus": "customers.models.orders.FinancialStatus",
        "OrderDeliveryStatus": "customers.models.orders.OrderDeliveryStatus",
        "DeliveryStatus": "events.models.delivery.DeliveryStatus",
        "FinishedStatus": "events.models.replay.FINISHED",
        "ReplayState": "events.models.replay.ReplayState",
        "DeliveryReading": "events.serializers.READINGS",
        "Outcome": "events.models.delivery.Outcome",
        "EventKey": "events.catalogue.choices",
        "RestrictionOperator": "events.catalogue_serializers.OPERATOR_KEYS",
        "PayloadFieldType": "events.catalogue_serializers.KINDS",
        "PrimarySelector": "integrations.models.SELECTORS",
    },
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
}

LOG_LEVEL: str = env.str("LOG_LEVEL", default="INFO").upper()
if LOG_LEVEL not in logging.getLevelNamesMapping():
    raise ImproperlyConfigured("LOG_LEVEL is one of DEBUG, INFO, WARNING, ERROR, CRITICAL.")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {"django-q": {"level": "WARNING"}},  # it tells of every wake-up otherwise
}
