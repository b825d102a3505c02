"""What gunicorn's settings are here: by which name, or where to get it instead.

docs/gunicorn.md is the same as a table; a test compares both with gunicorn itself.
"""

from __future__ import annotations

from typing import Final

# gunicorn's name of a setting in its file: ours.
NAMES: Final = {
    **{
        name: name
        for name in (
            *("backlog", "bind", "chdir", "graceful_timeout", "limit_request_field_size"),
            *("limit_request_fields", "limit_request_line", "max_requests"),
            *("max_requests_jitter", "pythonpath", "reload", "threads", "timeout"),
            *("worker_connections", "workers"),
        )
    },
    "access_log_format": "access_logformat",
    "accesslog": "access_logfile",
    "errorlog": "error_logfile",
    "keepalive": "keep_alive",
    "logconfig": "log_config",
    "loglevel": "log_level",
    "pidfile": "pid",
    "raw_env": "env",
    "reload_extra_files": "reload_extra_file",
    "wsgi_app": "application",
}

_TLS: Final = "nginx speaks TLS: NGINX_TLS_CERTIFICATE and NGINX_TLS_CERTIFICATE_KEY name its files"
_CLIENTS: Final = "nginx speaks TLS; for certificates of clients put ssl_client_certificate there"
_CIPHERS: Final = "nginx speaks TLS, with ssl_protocols and ssl_ciphers of nginx/snippets/tls.conf"
_HTTP2: Final = "nginx speaks HTTP/2 to clients (http2 on), and HTTP/1.1 to the server"
_TRUST: Final = "the chain's link proxy_headers believes the peers that its setting trusted names"
_PROXY: Final = "nginx reads it: listen … proxy_protocol, and real_ip_header proxy_protocol"
_USER: Final = "supervisor starts it as a user (user=), as systemd (User=) and compose (user:) do"
_SYSLOG: Final = "standard error goes wherever systemd, compose or rsyslog sends it (docs/logs.md)"
_STATSD: Final = "--metrics-file counts, and the stack serves it to Prometheus (docs/metrics.md)"
_PARSER: Final = (
    "what RFC 9112 does not allow is refused, and no option changes that (docs/http.md)"
)
_ASGI: Final = "ASGI is not served: run such an application beside this one, behind the same nginx"
_PASTE: Final = "name a module whose application is what paste.deploy.loadapp() returns"
_HELPERS: Final = "there is one kind of process: run a task queue beside it for long work"
_CONTROL: Final = "--status-socket tells what a process is doing, and basculectl controls the stack"
_PRELOAD: Final = "each process loads the application by itself, so each can have new code"
_HOOK: Final = "hooks are not called; call it where the application is loaded"
_HOOK_OF_REQUEST: Final = "hooks are not called; wrap the application, or put a link into the chain"

# gunicorn's name of a setting that we have not, its flags, and what to do in its place.
ELSEWHERE: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "worker_class": (("-k", "--worker-class"), "threads call the application: see --threads"),
    "reload_engine": (("--reload-engine",), "files are looked at, whatever the file system is"),
    "spew": (("--spew",), "python -m trace, or --status-socket for what runs right now"),
    "preload_app": (("--preload",), _PRELOAD),
    "sendfile": (
        ("--no-sendfile",),
        "files go out by sendfile() where the kernel can, and nothing turns that off",
    ),
    "reuse_port": (("--reuse-port",), "let nginx balance over one socket a process"),
    "daemon": (("-D", "--daemon"), "let supervisor or systemd run it: basculectl up"),
    "worker_tmp_dir": (("--worker-tmp-dir",), "no heartbeat file is written"),
    "user": (("-u", "--user"), _USER),
    "group": (("-g", "--group"), _USER),
    "umask": (("-m", "--umask"), "supervisor has umask=, systemd UMask="),
    "initgroups": (("--initgroups",), _USER),
    "forwarded_allow_ips": (("--forwarded-allow-ips",), _TRUST),
    "disable_redirect_access_to_syslog": (("--disable-redirect-access-to-syslog",), _SYSLOG),
    "capture_output": (
        ("--capture-output",),
        "standard error goes to --error-logfile anyway; for standard output use the shell's >",
    ),
    "logger_class": (("--logger-class",), "give loggers and handlers in --log-config"),
    "logconfig_dict": ((), "give it to logging.config.dictConfig() in the application"),
    "logconfig_json": (("--log-config-json",), "give it to dictConfig() in the application"),
    "syslog_addr": (("--log-syslog-to",), _SYSLOG),
    "syslog": (("--log-syslog",), _SYSLOG),
    "syslog_prefix": (("--log-syslog-prefix",), _SYSLOG),
    "syslog_facility": (("--log-syslog-facility",), _SYSLOG),
    "enable_stdio_inheritance": (
        ("-R", "--enable-stdio-inheritance"),
        "standard streams are inherited anyway",
    ),
    "statsd_host": (("--statsd-host",), _STATSD),
    "dogstatsd_tags": (("--dogstatsd-tags",), _STATSD),
    "statsd_prefix": (("--statsd-prefix",), _STATSD),
    "enable_backlog_metric": (("--enable-backlog-metric",), _STATSD),
    "proc_name": (("-n", "--name"), "--worker names the process in each line of the log"),
    "paste": (("--paste", "--paster"), _PASTE),
    "raw_paste_global_conf": (("--paste-global",), _PASTE),
    "proxy_protocol": (("--proxy-protocol",), _PROXY),
    "proxy_allow_ips": (("--proxy-allow-from",), f"{_PROXY}, set_real_ip_from whom it believes"),
    "protocol": (("--protocol",), "HTTP/1.1 is spoken; nginx needs no other protocol for it"),
    "uwsgi_allow_ips": (("--uwsgi-allow-from",), "HTTP/1.1 is spoken, with proxy_pass in nginx"),
    "keyfile": (("--keyfile",), _TLS),
    "certfile": (("--certfile",), _TLS),
    "ssl_version": (("--ssl-version",), _CIPHERS),
    "cert_reqs": (("--cert-reqs",), _CLIENTS),
    "ca_certs": (("--ca-certs",), _CLIENTS),
    "suppress_ragged_eofs": (("--suppress-ragged-eofs",), _TLS),
    "do_handshake_on_connect": (("--do-handshake-on-connect",), _TLS),
    "ciphers": (("--ciphers",), _CIPHERS),
    "http_protocols": (("--http-protocols",), _HTTP2),
    "http2_cleartext": (("--http2-cleartext",), _HTTP2),
    "http2_max_concurrent_streams": (("--http2-max-concurrent-streams",), _HTTP2),
    "http2_initial_window_size": (("--http2-initial-window-size",), _HTTP2),
    "http2_max_frame_size": (("--http2-max-frame-size",), _HTTP2),
    "http2_max_header_list_size": (("--http2-max-header-list-size",), _HTTP2),
    "permit_obsolete_folding": (("--permit-obsolete-folding",), _PARSER),
    "strip_header_spaces": (("--strip-header-spaces",), _PARSER),
    "permit_unconventional_http_method": (
        ("--permit-unconventional-http-method",),
        "any token is a method anyway (docs/http.md)",
    ),
    "permit_unconventional_http_version": (("--permit-unconventional-http-version",), _PARSER),
    "casefold_http_method": (("--casefold-http-method",), _PARSER),
    "forwarder_headers": (
        ("--forwarder-headers",),
        "the chain's links proxy_headers and path_prefix set SCRIPT_NAME and what else is meant",
    ),
    "header_map": (("--header-map",), "a field whose name has an underscore is left out"),
    "asgi_loop": (("--asgi-loop",), _ASGI),
    "asgi_lifespan": (("--asgi-lifespan",), _ASGI),
    "asgi_disconnect_grace_period": (("--asgi-disconnect-grace-period",), _ASGI),
    "websocket_max_message_size": (("--websocket-max-message-size",), _ASGI),
    "http_parser": (("--http-parser",), "there is one parser, in Python"),
    "root_path": (("--root-path",), "the chain's link path_prefix sets SCRIPT_NAME"),
    "dirty_apps": (("--dirty-app",), _HELPERS),
    "dirty_workers": (("--dirty-workers",), _HELPERS),
    "dirty_timeout": (("--dirty-timeout",), _HELPERS),
    "dirty_threads": (("--dirty-threads",), _HELPERS),
    "dirty_graceful_timeout": (("--dirty-graceful-timeout",), _HELPERS),
    "control_socket": (("--control-socket",), _CONTROL),
    "control_socket_mode": (("--control-socket-mode",), _CONTROL),
    "control_socket_disable": (("--no-control-socket",), "there is none"),
    "default_proc_name": ((), "--worker names the process in each line of the log"),
    "tmp_upload_dir": ((), "TMPDIR says where bodies larger than 1 MiB wait"),
    "secure_scheme_headers": ((), _TRUST),
    "ssl_context": ((), _CIPHERS),
    "pre_request": ((), _HOOK_OF_REQUEST),
    "post_request": ((), _HOOK_OF_REQUEST),
    **dict.fromkeys(
        (
            *("on_starting", "on_reload", "when_ready", "pre_fork", "post_fork"),
            *("post_worker_init", "worker_int", "worker_abort", "pre_exec", "child_exit"),
            *("worker_exit", "nworkers_changed", "on_exit", "on_dirty_starting"),
            *("dirty_post_fork", "dirty_worker_init", "dirty_worker_exit"),
        ),
        ((), _HOOK),
    ),
}

# Values by which a file asks for nothing that there is not here, too.
_THREADS: Final = ("sync", "gthread")


def answer(flag: str) -> str:
    """Return what to do in place of a flag of gunicorn's; empty where it has none of the name."""
    for flags, text in ELSEWHERE.values():
        if flag in flags:
            return f"gunicorn's, not ours: {text}"
    return ""


def reason(name: str, value: object) -> str:
    """Return why a setting of gunicorn's file has no effect here; empty where none is missed."""
    if name == "access_log_format":
        return "" if value in ("combined", "json") else FORMAT
    if name not in ELSEWHERE or not value or (name == "worker_class" and value in _THREADS):
        return ""
    return ELSEWHERE[name][1]


FORMAT: Final = "a line is combined or json, with all that is known (docs/logs.md)"
