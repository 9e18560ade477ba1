/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP over libcurl's multi interface. libcurl says which descriptors it waits
 * for; they sit in an epoll set of ours, so that one descriptor stands for all of them, and its
 * timer and our own deadlines are one number. Nothing here waits: http_pump() does what is
 * possible now. Names are resolved by libcurl in a thread of its own.
 *
 * Whether a request reached the server decides what a lost answer means, so libcurl may not send
 * one twice: it would do so by itself when a kept connection turns out to be dead, and the second
 * try of a transaction whose first was carried out would look like a conflict. It announces each
 * sending (CURLOPT_PREREQFUNCTION), and the second is forbidden.
 *
 * What is received is bounded: an answer goes through the sieve, if its asker wants that, and may then
 * have HTTP_ANSWER_MAX bytes. A stream is held (libcurl stops reading its socket) while one of its lines
 * is being read, as nothing of that line may move.
 *
 * SIGPIPE: OpenSSL writes with write(). It is blocked around every call into libcurl that can
 * write, and one that came of it is taken away again, so that nobody's disposition is touched.
 *
 * No answer is ever compressed: nobody asks for that, and libcurl 7.88 breaks off compressed streams.
 *
 * Proxies of the environment are ignored: a store is reached directly. HTTP/1.1 only: every
 * stream has a connection of its own then, which can be broken off without the others.
 */
#include "store/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "store/sieve.h"
#include "store/store.h"

#define KEPT 8L /* idle connections */
#define URL_MAX 400
#define HOLD_AT (1u << 20) /* bytes of a stream that wait to be read */

struct call {
	struct http_call public;
	struct call *next;
	struct http *h;
	CURL *easy; /* NULL: it ended */
	struct curl_slist *headers, *connect_to;
	char error[CURL_ERROR_SIZE];
	struct sieve sieve; /* max 0: everything passes */
	unsigned int timeout_ms, silence_ms;
	unsigned int limit_ms; /* of the two, what its deadline was made of */
	int64_t deadline_ms;
	bool stream, too_large;
	size_t read; /* stream: bytes of the body that were taken */
	bool held;   /* stream: a line is out, the body may not move */
};

struct http {
	CURLM *multi;
	int epoll;
	int64_t timer_ms; /* libcurl's; INT64_MAX: none */
	struct call *calls;
};

struct quiet {
	sigset_t before;
	bool was_pending;
};

static struct quiet block_sigpipe(void)
{
	struct quiet q = {0};
	sigset_t set;
	sigset_t pending;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGPIPE);
	(void)sigpending(&pending);
	q.was_pending = sigismember(&pending, SIGPIPE) == 1;
	(void)pthread_sigmask(SIG_BLOCK, &set, &q.before);
	return q;
}

static void restore_sigpipe(const struct quiet *q)
{
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGPIPE);
	const struct timespec now = {0};
	while (!q->was_pending && sigtimedwait(&set, NULL, &now) < 0 && errno == EINTR)
		;
	(void)pthread_sigmask(SIG_SETMASK, &q->before, NULL);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *known)
{
	(void)easy;
	struct http *h = user;
	if (what == CURL_POLL_REMOVE) {
		(void)epoll_ctl(h->epoll, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	struct epoll_event ev = {
		.events = ((what & CURL_POLL_IN) ? EPOLLIN : 0u) |
			  ((what & CURL_POLL_OUT) ? EPOLLOUT : 0u),
		.data.fd = fd,
	};
	int op = known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	if (epoll_ctl(h->epoll, op, fd, &ev) < 0 && errno == EEXIST)
		(void)epoll_ctl(h->epoll, EPOLL_CTL_MOD, fd, &ev);
	(void)curl_multi_assign(h->multi, fd, h);
	return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *user)
{
	(void)multi;
	struct http *h = user;
	h->timer_ms = timeout_ms < 0 ? INT64_MAX : boot_now_ms() + timeout_ms;
	return 0;
}

int http_new(struct http **out, struct err *e)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return err_set(e, EIO, "libcurl cannot be used");
	struct http *h = mem_new(1, sizeof(*h));
	*h = (struct http){
		.multi = curl_multi_init(),
		.epoll = epoll_create1(EPOLL_CLOEXEC),
		.timer_ms = INT64_MAX,
	};
	if (!h->multi)
		err_abort("out of memory");
	if (h->epoll < 0) {
		int r = err_set(e, errno, "cannot make an epoll set: %s", strerror(errno));
		http_free(h);
		return r;
	}
	(void)curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	(void)curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	(void)curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	(void)curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	(void)curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, KEPT);
	*out = h;
	return 0;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	struct quiet q = block_sigpipe();
	(void)curl_multi_cleanup(h->multi);
	restore_sigpipe(&q);
	mem_cleanup_fd(&h->epoll);
	free(h);
	curl_global_cleanup();
}

/* Whether a part of the URL is there; a plain "/" is no path. */
static bool has_part(CURLU *u, CURLUPart part)
{
	char *s = NULL;
	bool has = curl_url_get(u, part, &s, 0) == CURLUE_OK && strcmp(s, "/") != 0;
	curl_free(s);
	return has;
}

int http_check_server(const char *url, const char *what, const char *hint, struct err *e)
{
	char shown[STORE_SHOWN];
	(void)store_show_url(url, shown);
	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		return err_set(e, EINVAL, "\"%.128s\" must begin with http:// or https:// to be %s",
			shown, what);
	if (strlen(url) > URL_MAX)
		return err_set(e, EINVAL, "\"%.128s...\" is too long for %s", shown, what);
	CURLU *u = curl_url();
	if (!u)
		err_abort("out of memory");
	CURLUcode rc = curl_url_set(u, CURLUPART_URL, url, 0);
	bool extra = has_part(u, CURLUPART_PATH) || has_part(u, CURLUPART_QUERY) ||
		     has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD) ||
		     has_part(u, CURLUPART_FRAGMENT);
	curl_url_cleanup(u);
	if (rc)
		return err_set(e, EINVAL, "\"%.128s\" is no URL: %s", shown, curl_url_strerror(rc));
	if (extra)
		return err_set(e, EINVAL,
			"\"%.128s\" must be a host and a port, without user, path or query%s",
			shown, hint);
	return 0;
}

static char *call_line_end(const struct call *c)
{
	const struct text *t = &c->public.body;
	return t->len > c->read ? memchr(t->buf + c->read, '\n', t->len - c->read) : NULL;
}

/* Drops what was taken, before more is added. */
static void call_compact(struct call *c)
{
	struct text *t = &c->public.body;
	if (c->read == 0)
		return;
	memmove(t->buf, t->buf + c->read, t->len - c->read);
	t->len -= c->read;
	c->read = 0;
}

static void call_allow(struct call *c, unsigned int ms)
{
	c->limit_ms = ms;
	c->deadline_ms = boot_now_ms() + (int64_t)ms;
}

static size_t call_copy(struct call *c, const char *bytes, size_t n, char *out)
{
	if (c->sieve.max)
		return sieve_copy(&c->sieve, bytes, n, out);
	memcpy(out, bytes, n);
	return n;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *user)
{
	(void)size; /* always 1 */
	struct call *c = user;
	struct text *t = &c->public.body;
	if (c->public.status == 0)
		(void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &c->public.status);
	bool lines = c->stream && c->public.status == 200;
	if (lines && (c->held || (t->len - c->read > HOLD_AT && call_line_end(c))))
		return CURL_WRITEFUNC_PAUSE;
	call_compact(c);
	if (t->len + n > HTTP_ANSWER_MAX) {
		c->too_large = true;
		return 0;
	}
	char *room = text_reserve(t, n);
	bool was_whole = call_line_end(c) != NULL;
	t->len += call_copy(c, bytes, n, room);
	t->buf[t->len] = '\0';
	bool is_whole = call_line_end(c) != NULL;
	if (!c->stream)
		call_allow(c, c->timeout_ms);
	else if (!c->silence_ms && is_whole)
		c->deadline_ms = INT64_MAX;
	else if (!c->silence_ms || (is_whole && !was_whole))
		call_allow(c, c->silence_ms ? c->silence_ms : c->timeout_ms);
	return n;
}

static size_t on_header(char *bytes, size_t size, size_t n, void *user)
{
	(void)bytes;
	(void)size; /* always 1 */
	struct call *c = user;
	call_allow(c, c->silence_ms);
	return n;
}

static int on_send(void *user, char *ip, char *local_ip, int port, int local_port)
{
	(void)ip;
	(void)local_ip;
	(void)port;
	(void)local_port;
	struct call *c = user;
	if (c->public.sent)
		return CURL_PREREQFUNC_ABORT;
	c->public.sent = true;
	return CURL_PREREQFUNC_OK;
}

/* A stream whose peer vanished without a word must end: keepalive after 10 s, three times. */
static int on_open_socket(void *user, curl_socket_t fd, curlsocktype type)
{
	(void)user;
	(void)type;
	static const struct {
		int level, option, value;
	} table[] = {
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, 10},
		{IPPROTO_TCP, TCP_KEEPINTVL, 5},
		{IPPROTO_TCP, TCP_KEEPCNT, 3},
		{IPPROTO_TCP, TCP_USER_TIMEOUT, 25000},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		(void)setsockopt(fd, table[i].level, table[i].option, &table[i].value,
			sizeof(table[i].value)); /* without it only noticed later */
	return CURL_SOCKOPT_OK;
}

static void set_pem(struct call *c, CURLoption file, CURLoption blob, const struct http_pem *p)
{
	struct curl_blob bytes = {.data = (void *)p->bytes, .len = p->len, .flags = CURL_BLOB_COPY};
	if (p->file) /* NULL would mean none, not the system's */
		(void)curl_easy_setopt(c->easy, file, p->file);
	else if (p->bytes)
		(void)curl_easy_setopt(c->easy, blob, &bytes);
}

static void set_transport(struct call *c, const struct http_tls *tls)
{
	(void)curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(c->easy, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(c->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
	/* Do not wait for a resolver's thread when a request is given up. */
	(void)curl_easy_setopt(c->easy, CURLOPT_QUICK_EXIT, 1L);
	(void)curl_easy_setopt(c->easy, CURLOPT_SOCKOPTFUNCTION, on_open_socket);
	(void)curl_easy_setopt(c->easy, CURLOPT_SSL_VERIFYPEER, 1L);
	(void)curl_easy_setopt(c->easy, CURLOPT_SSL_VERIFYHOST, 2L);
	(void)curl_easy_setopt(c->easy, CURLOPT_CA_CACHE_TIMEOUT, 0L); /* it may be renewed */
	set_pem(c, CURLOPT_CAINFO, CURLOPT_CAINFO_BLOB, &tls->ca);
	set_pem(c, CURLOPT_SSLCERT, CURLOPT_SSLCERT_BLOB, &tls->cert);
	set_pem(c, CURLOPT_SSLKEY, CURLOPT_SSLKEY_BLOB, &tls->key);
}

static void add_line(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);
	if (!longer)
		err_abort("out of memory");
	*list = longer;
}

static void set_request(struct call *c, const struct http_request *r)
{
	(void)curl_easy_setopt(c->easy, CURLOPT_URL, r->url);
	if (r->connect_to) {
		struct text to = {0};
		text_add(&to, "::%s", r->connect_to);
		add_line(&c->connect_to, to.buf);
		text_free(&to);
		(void)curl_easy_setopt(c->easy, CURLOPT_CONNECT_TO, c->connect_to);
	}
	for (const char *const *line = r->headers; line && *line; line++)
		add_line(&c->headers, *line);
	add_line(&c->headers, "Expect:"); /* libcurl would ask before it sends a large body */
	(void)curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
	if (r->body) {
		(void)curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE, (long)r->body->len);
		(void)curl_easy_setopt(c->easy, CURLOPT_COPYPOSTFIELDS, r->body->buf);
	}
	if (r->method)
		(void)curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, r->method);
}

static void set_callbacks(struct call *c)
{
	(void)curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
	if (c->silence_ms) {
		(void)curl_easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, on_header);
		(void)curl_easy_setopt(c->easy, CURLOPT_HEADERDATA, c);
	}
	(void)curl_easy_setopt(c->easy, CURLOPT_PREREQFUNCTION, on_send);
	(void)curl_easy_setopt(c->easy, CURLOPT_PREREQDATA, c);
	(void)curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->error);
	(void)curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
}

struct http_call *http_start(struct http *h, const struct http_request *r)
{
	struct call *c = mem_new(1, sizeof(*c));
	c->h = h;
	c->stream = r->stream;
	c->sieve.max = r->string_max;
	c->timeout_ms = r->timeout_ms;
	c->silence_ms = r->stream ? r->silence_ms : 0;
	call_allow(c, r->timeout_ms);
	c->easy = curl_easy_init();
	if (!c->easy)
		err_abort("out of memory");
	set_transport(c, &r->tls);
	set_request(c, r);
	set_callbacks(c);
	c->next = h->calls;
	h->calls = c;
	struct quiet q = block_sigpipe();
	(void)curl_multi_add_handle(h->multi, c->easy);
	restore_sigpipe(&q);
	return &c->public;
}

static void call_release(struct call *c)
{
	if (!c->easy)
		return;
	(void)curl_multi_remove_handle(c->h->multi, c->easy);
	curl_easy_cleanup(c->easy);
	curl_slist_free_all(c->headers);
	curl_slist_free_all(c->connect_to);
	c->easy = NULL;
	c->headers = NULL;
	c->connect_to = NULL;
}

void http_call_free(struct http_call *public)
{
	if (!public)
		return;
	struct call *c = (struct call *)public; /* its first member */
	struct quiet q = block_sigpipe();
	call_release(c);
	restore_sigpipe(&q);
	struct call **p = &c->h->calls;
	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	text_free(&c->public.body);
	free(c);
}

char *http_call_line(struct http_call *public, size_t *len)
{
	struct call *c = (struct call *)public;
	char *end = call_line_end(c);
	if (!end)
		return NULL;
	c->held = true;
	*len = (size_t)(end - (c->public.body.buf + c->read));
	return c->public.body.buf + c->read;
}

void http_call_taken(struct http_call *public)
{
	struct call *c = (struct call *)public;
	char *end = call_line_end(c);
	if (!c->held || !end)
		return;
	c->held = false;
	c->read = (size_t)(end - c->public.body.buf) + 1;
	bool is_whole = call_line_end(c) != NULL;
	if (!c->easy || is_whole)
		return;
	if (c->silence_ms) /* what its reader took is no silence of the server */
		call_allow(c, c->silence_ms);
	struct quiet q = block_sigpipe();
	(void)curl_easy_pause(c->easy, CURLPAUSE_CONT);
	restore_sigpipe(&q);
}

/* With TLS 1.3 a client learns only after it has sent its request that the server did not take its
 * certificate; the server has read nothing of it then. */
static bool call_was_turned_away(const struct call *c)
{
	return strstr(c->error, "alert") &&
	       (strstr(c->error, "certificate") || strstr(c->error, "unknown ca"));
}

static void call_lose(struct call *c, const char *why)
{
	bool lost = c->public.sent && !call_was_turned_away(c);
	c->public.state = lost ? HTTP_LOST : HTTP_UNSENT;
	(void)json_clean(c->public.why, sizeof(c->public.why), why);
	call_release(c);
}

static const char *call_reason(const struct call *c, CURLcode rc)
{
	long error = 0;
	if (rc == CURLE_ABORTED_BY_CALLBACK)
		return "the connection was closed";
	(void)curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &error);
	if (rc == CURLE_COULDNT_CONNECT && error)
		return strerror((int)error);
	return *c->error ? c->error : curl_easy_strerror(rc);
}

static void call_finish(struct call *c, CURLcode rc)
{
	if (rc != CURLE_OK && !c->too_large) {
		c->public.timed_out = rc == CURLE_OPERATION_TIMEDOUT;
		call_lose(c, call_reason(c, rc));
		return;
	}
	curl_off_t retry_after = 0;
	(void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &c->public.status);
	(void)curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &retry_after);
	c->public.retry_after_s = retry_after;
	c->public.state = c->too_large ? HTTP_TOO_LARGE : HTTP_ANSWERED;
	call_release(c);
}

static void http_finish_all(struct http *h)
{
	int left = 0;
	for (CURLMsg *m = curl_multi_info_read(h->multi, &left); m;
		m = curl_multi_info_read(h->multi, &left)) {
		char *c = NULL;
		CURLcode rc = m->data.result;
		(void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &c);
		if (m->msg == CURLMSG_DONE)
			call_finish((struct call *)(void *)c, rc);
	}
}

static void http_expire(struct http *h)
{
	int64_t now = boot_now_ms();
	for (struct call *c = h->calls; c; c = c->next) {
		if (!c->easy || c->deadline_ms > now)
			continue;
		char why[64];
		(void)snprintf(why, sizeof(why), "no answer within %u ms", c->limit_ms);
		c->public.timed_out = true;
		call_lose(c, why);
	}
}

void http_pump(struct http *h)
{
	struct quiet q = block_sigpipe();
	struct epoll_event ready[16];
	int n = epoll_wait(h->epoll, ready, 16, 0);
	int running = 0;
	for (int i = 0; i < n; i++) {
		unsigned int what = ready[i].events;
		int mask = ((what & EPOLLIN) ? CURL_CSELECT_IN : 0) |
			   ((what & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
			   ((what & (EPOLLERR | EPOLLHUP)) ? CURL_CSELECT_ERR : 0);
		(void)curl_multi_socket_action(h->multi, ready[i].data.fd, mask, &running);
	}
	if (h->timer_ms <= boot_now_ms()) {
		h->timer_ms = INT64_MAX;
		(void)curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
	http_finish_all(h);
	http_expire(h);
	restore_sigpipe(&q);
}

int http_fd(const struct http *h)
{
	return h->epoll;
}

int64_t http_deadline_ms(const struct http *h)
{
	int64_t at = h->timer_ms;
	for (const struct call *c = h->calls; c; c = c->next)
		if (c->easy && c->deadline_ms < at)
			at = c->deadline_ms;
	return at;
}
