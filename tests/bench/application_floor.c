/* The least that a server pays which calls a WSGI application (PEP 3333): an extension in C.

   serve(application, listener, environ): serves for ever on the descriptor of a listening socket;
   `environ` has what all requests have in common.

   It parses what an application needs and checks nothing: the request line, the fields, a body with
   a Content-Length. One process, one thread, one call at a time. It is a yardstick, not a server. */

#define PY_SSIZE_T_CLEAN
#define _GNU_SOURCE
#include <Python.h>

#include <ctype.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define CONNECTIONS 4096 /* descriptors */
#define EVENTS 256
#define READ 65536

static const char OWN_FIELDS[] = "\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: floor\r\n";

struct connection {
    char *buffer;
    size_t filled, size;
};

static struct connection connections[CONNECTIONS];
static PyObject *status_line, *response_fields; /* what the application said last */
static PyObject *bytes_io, *start_response_function;

static PyObject *start_response(PyObject *self, PyObject *args, PyObject *keywords) {
    static char *names[] = {"status", "response_headers", "exc_info", NULL};
    PyObject *status, *fields, *error = NULL;
    (void)self;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OO|O", names, &status, &fields, &error))
        return NULL;
    Py_XSETREF(status_line, Py_NewRef(status));
    Py_XSETREF(response_fields, Py_NewRef(fields));
    Py_RETURN_NONE; /* write() is not offered */
}

static PyMethodDef START_RESPONSE = {
    "start_response", (PyCFunction)(void (*)(void))start_response, METH_VARARGS | METH_KEYWORDS, ""};

static int put(PyObject *environ, const char *name, const char *value, Py_ssize_t length) {
    PyObject *text = PyUnicode_DecodeLatin1(value, length, NULL);
    int failed = !text || PyDict_SetItemString(environ, name, text);
    Py_XDECREF(text);
    return failed;
}

/* PATH_INFO: percent-decoded, its bytes as latin-1 characters (PEP 3333). */
static int put_path(PyObject *environ, const char *path, size_t length) {
    char decoded[READ];
    size_t count = 0;
    for (size_t place = 0; place < length; place++, count++) {
        decoded[count] = path[place];
        if (path[place] == '%' && place + 2 < length) {
            char digits[] = {path[place + 1], path[place + 2], 0};
            decoded[count] = (char)strtol(digits, NULL, 16);
            place += 2;
        }
    }
    return put(environ, "PATH_INFO", decoded, (Py_ssize_t)count);
}

/* The request line and the fields as variables (RFC 3875 §4.1); `end` is that of the last line. */
static int put_head(PyObject *environ, const char *head, const char *end) {
    const char *line_end = memchr(head, '\r', (size_t)(end - head));
    const char *target = memchr(head, ' ', (size_t)(line_end - head));
    if (!target++) return -1;
    const char *protocol = memchr(target, ' ', (size_t)(line_end - target));
    if (!protocol) return -1;
    const char *query = memchr(target, '?', (size_t)(protocol - target));
    const char *path_end = query ? query : protocol;
    if (put(environ, "REQUEST_METHOD", head, target - 1 - head) ||
        put_path(environ, target, (size_t)(path_end - target)) ||
        put(environ, "QUERY_STRING", query ? query + 1 : "", query ? protocol - query - 1 : 0) ||
        put(environ, "SERVER_PROTOCOL", protocol + 1, line_end - protocol - 1))
        return -1;
    for (const char *line = line_end + 2; line < end; line = line_end + 2) {
        char name[256] = "HTTP_";
        size_t count = 5;
        line_end = memchr(line, '\r', (size_t)(end - line));
        if (!line_end) line_end = end;
        for (; line < line_end && *line != ':' && count < sizeof name - 1; line++)
            name[count++] = *line == '-' ? '_' : (char)toupper((unsigned char)*line);
        name[count] = 0;
        for (line++; line < line_end && *line == ' ';) line++;
        int is_bare = !strcmp(name + 5, "CONTENT_TYPE") || !strcmp(name + 5, "CONTENT_LENGTH");
        if (put(environ, is_bare ? name + 5 : name, line, line_end - line)) return -1;
    }
    return 0;
}

static void add(PyObject *message, const char *bytes, Py_ssize_t length) {
    Py_ssize_t before = PyByteArray_GET_SIZE(message);
    if (PyByteArray_Resize(message, before + length) == 0)
        memcpy(PyByteArray_AS_STRING(message) + before, bytes, (size_t)length);
}

static void add_text(PyObject *message, PyObject *text) {
    Py_ssize_t length;
    const char *bytes = PyUnicode_AsUTF8AndSize(text, &length);
    if (bytes) add(message, bytes, length);
}

/* Puts the body together, then the head before it; returns NULL with an exception. */
static PyObject *whole_response(PyObject *body) {
    PyObject *part, *pieces = PyObject_GetIter(body);
    PyObject *content = PyByteArray_FromStringAndSize(NULL, 0), *closed;
    PyObject *message = PyByteArray_FromStringAndSize(NULL, 0);
    int has_length = 0;
    char length[64];
    if (!pieces || !content || !message) return NULL;
    while ((part = PyIter_Next(pieces)) != NULL) {
        if (PyBytes_Check(part)) add(content, PyBytes_AS_STRING(part), PyBytes_GET_SIZE(part));
        Py_DECREF(part);
    }
    Py_DECREF(pieces);
    if (PyErr_Occurred()) return NULL;
    if (PyObject_HasAttrString(body, "close")) {
        closed = PyObject_CallMethod(body, "close", NULL);
        if (!closed) return NULL;
        Py_DECREF(closed);
    }
    add(message, "HTTP/1.1 ", 9);
    add_text(message, status_line);
    add(message, OWN_FIELDS, sizeof OWN_FIELDS - 1);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(response_fields); i++) {
        PyObject *field = PyList_GET_ITEM(response_fields, i);
        PyObject *name = PyTuple_GET_ITEM(field, 0);
        has_length |= PyUnicode_GET_LENGTH(name) == 14 &&
                      strcasecmp(PyUnicode_AsUTF8(name), "Content-Length") == 0;
        add_text(message, name);
        add(message, ": ", 2);
        add_text(message, PyTuple_GET_ITEM(field, 1));
        add(message, "\r\n", 2);
    }
    if (!has_length) {
        int count = snprintf(length, sizeof length, "Content-Length: %zd\r\n",
                             PyByteArray_GET_SIZE(content));
        add(message, length, count);
    }
    add(message, "\r\n", 2);
    add(message, PyByteArray_AS_STRING(content), PyByteArray_GET_SIZE(content));
    Py_DECREF(content);
    return message;
}

static PyObject *respond(PyObject *application, PyObject *common, const char *head,
                         const char *head_end, size_t length) {
    PyObject *environ = PyDict_Copy(common), *input, *body, *message;
    if (!environ || put_head(environ, head, head_end)) return NULL;
    input = PyObject_CallFunction(bytes_io, "y#", head_end + 4, (Py_ssize_t)length);
    if (!input || PyDict_SetItemString(environ, "wsgi.input", input)) return NULL;
    Py_DECREF(input);
    body = PyObject_CallFunctionObjArgs(application, environ, start_response_function, NULL);
    Py_DECREF(environ);
    if (!body) return NULL;
    message = whole_response(body);
    Py_DECREF(body);
    return message;
}

static size_t content_length(const char *head, const char *end) {
    for (const char *line = head; (line = memchr(line, '\n', (size_t)(end - line))) != NULL;)
        if (strncasecmp(++line, "content-length:", 15) == 0) return strtoul(line + 15, NULL, 10);
    return 0;
}

/* Reads what has come and answers a request that is whole; returns 0 where the connection ends. */
static int serve_one(PyObject *application, PyObject *common, int descriptor) {
    struct connection *c = &connections[descriptor];
    if (c->size - c->filled < READ) {
        c->size = c->filled + READ;
        c->buffer = realloc(c->buffer, c->size + 1);
    }
    ssize_t count = recv(descriptor, c->buffer + c->filled, c->size - c->filled, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN) return 1;
    if (count <= 0) return 0;
    c->filled += (size_t)count;
    c->buffer[c->filled] = 0;
    const char *end = memmem(c->buffer, c->filled, "\r\n\r\n", 4);
    if (!end) return 1;
    size_t length = content_length(c->buffer, end);
    if (c->filled < (size_t)(end + 4 - c->buffer) + length) return 1;
    c->filled = 0;
    PyObject *message = respond(application, common, c->buffer, end, length);
    if (!message) {
        PyErr_Print();
        return 0;
    }
    count = send(descriptor, PyByteArray_AS_STRING(message),
                 (size_t)PyByteArray_GET_SIZE(message), MSG_NOSIGNAL);
    Py_DECREF(message);
    return count >= 0;
}

static PyObject *serve(PyObject *self, PyObject *args) {
    PyObject *application, *common;
    int listener;
    (void)self;
    if (!PyArg_ParseTuple(args, "OiO!", &application, &listener, &PyDict_Type, &common))
        return NULL;
    int poller = epoll_create1(0);
    struct epoll_event events[EVENTS], event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready;
        Py_BEGIN_ALLOW_THREADS ready = epoll_wait(poller, events, EVENTS, -1);
        Py_END_ALLOW_THREADS if (PyErr_CheckSignals()) return NULL;
        for (int i = 0; i < ready; i++) {
            int descriptor = events[i].data.fd;
            if (descriptor == listener) {
                descriptor = accept4(listener, NULL, NULL, 0);
                if (descriptor < 0 || descriptor >= CONNECTIONS) continue;
                connections[descriptor].filled = 0;
                event = (struct epoll_event){.events = EPOLLIN, .data.fd = descriptor};
                epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event);
            } else if (!serve_one(application, common, descriptor)) {
                close(descriptor);
            }
        }
    }
}

static PyMethodDef METHODS[] = {{"serve", serve, METH_VARARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, "application_floor", NULL, -1,
                                    METHODS, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_application_floor(void) {
    PyObject *io = PyImport_ImportModule("io");
    if (!io) return NULL;
    bytes_io = PyObject_GetAttrString(io, "BytesIO");
    Py_DECREF(io);
    start_response_function = PyCFunction_New(&START_RESPONSE, NULL);
    return PyModule_Create(&MODULE);
}
