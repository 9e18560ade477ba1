/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP to etcd's gateway, over libcurl's multi interface. libcurl says which descriptors it waits
 * for; they sit in an epoll set of ours, so that one descriptor stands for all of them, and its
 * timer and our own deadlines are one number. Nothing here waits: etcd_http_pump() does what is
 * possible now. Names are resolved by libcurl in a thread of its own.
 *
 * Whether a request reached the server decides what a lost answer means, so libcurl may not send
 * one twice: it would do so by itself when a kept connection turns out to be dead, and the second
 * try of a transaction whose first was carried out would look like a conflict. It announces each
 * sending (CURLOPT_PREREQFUNCTION), and the second is forbidden.
 *
 * What is received is bounded: every answer goes through etcd_sieve() and may then have
 * ETCD_ANSWER_MAX bytes. A stream is held (libcurl stops reading its socket) while one of its lines
 * is being read, as nothing of that line may move.
 *
 * SIGPIPE: OpenSSL writes with write(). It is blocked around every call into libcurl that can
 * write, and one that came of it is taken away again, so that nobody's disposition is touched.
 *
 * Proxies of the environment are ignored: a store is reached directly. HTTP/1.1 only: every
 * stream has a connection of its own then, which can be broken off without the others.
 */
#include "store/etcd_http.h"

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
#include "store/store.h"
#include "store/store_driver.h"
#include "lib/text.h"

#define KEPT 8L /* idle connections */
#define URL_MAX 400
#define HOLD_AT (1u << 20) /* bytes of a stream that wait to be read */

struct call {
	struct etcd_call public;
	struct call *next;
	struct etcd_http *h;
	CURL *easy; /* NULL: it ended */
	struct curl_slist *headers;
	char error[CURL_ERROR_SIZE];
	struct etcd_sieve sieve;
	int64_t deadline_ms;
	bool stream, too_large;
	size_t read; /* stream: bytes of the body that were taken */
	bool held;   /* stream: a line is out, the body may not move */
};

struct etcd_http {
	CURLM *multi;
	int epoll;
	int64_t timer_ms; /* libcurl's; INT64_MAX: none */
	struct call *calls;
	char *ca_file, *cert_file, *key_file;
	unsigned int timeout_ms;
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
	struct etcd_http *h = user;
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
	struct etcd_http *h = user;
	h->timer_ms = timeout_ms < 0 ? INT64_MAX : boot_now_ms() + timeout_ms;
	return 0;
}

int etcd_http_new(struct etcd_http **out, const struct store_options *o, struct err *e)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return err_set(e, EIO, "libcurl cannot be used");
	struct etcd_http *h = mem_new(1, sizeof(*h));
	*h = (struct etcd_http){
		.multi = curl_multi_init(),
		.epoll = epoll_create1(EPOLL_CLOEXEC),
		.timer_ms = INT64_MAX,
		.ca_file = o->ca_file ? mem_strdup(o->ca_file) : NULL,
		.cert_file = o->cert_file ? mem_strdup(o->cert_file) : NULL,
		.key_file = o->key_file ? mem_strdup(o->key_file) : NULL,
		.timeout_ms = o->timeout_ms,
	};
	if (!h->multi)
		err_abort("out of memory");
	if (h->epoll < 0) {
		int r = err_set(e, errno, "cannot make an epoll set: %s", strerror(errno));
		etcd_http_free(h);
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

void etcd_http_free(struct etcd_http *h)
{
	if (!h)
		return;
	struct quiet q = block_sigpipe();
	(void)curl_multi_cleanup(h->multi);
	restore_sigpipe(&q);
	mem_cleanup_fd(&h->epoll);
	free(h->ca_file);
	free(h->cert_file);
	free(h->key_file);
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

int etcd_http_check_url(const char *url, struct err *e)
{
	char shown[STORE_SHOWN];
	(void)store_show_url(url, shown);
	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		return err_set(e, EINVAL,
			"\"%.128s\" must begin with http:// or https:// to be an endpoint of etcd",
			shown);
	if (strlen(url) > URL_MAX)
		return err_set(
			e, EINVAL, "\"%.128s...\" is too long for an endpoint of etcd", shown);
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
			"\"%.128s\" must be a host and a port, without user, path or query "
			"(etcd.user and etcd.passwordFile name a user)",
			shown);
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

static size_t on_body(char *bytes, size_t size, size_t n, void *user)
{
	(void)size; /* always 1 */
	struct call *c = user;
	struct text *t = &c->public.body;
	if (c->stream && (c->held || (t->len - c->read > HOLD_AT && call_line_end(c))))
		return CURL_WRITEFUNC_PAUSE;
	call_compact(c);
	if (t->len + n > ETCD_ANSWER_MAX) {
		c->too_large = true;
		return 0;
	}
	t->len += etcd_sieve(&c->sieve, bytes, n, text_reserve(t, n));
	t->buf[t->len] = '\0';
	c->deadline_ms = c->stream && call_line_end(c) ? INT64_MAX
						       : boot_now_ms() + (int64_t)c->h->timeout_ms;
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

static void set_transport(struct call *c)
{
	const struct etcd_http *h = c->h;
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
	if (h->ca_file) /* NULL would mean none, not the system's */
		(void)curl_easy_setopt(c->easy, CURLOPT_CAINFO, h->ca_file);
	(void)curl_easy_setopt(c->easy, CURLOPT_SSLCERT, h->cert_file);
	(void)curl_easy_setopt(c->easy, CURLOPT_SSLKEY, h->key_file);
}

static void add_header(struct call *c, const char *line)
{
	struct curl_slist *longer = curl_slist_append(c->headers, line);
	if (!longer)
		err_abort("out of memory");
	c->headers = longer;
}

static void set_request(struct call *c, const char *url, const char *path, const char *token)
{
	char line[512];
	(void)snprintf(
		line, sizeof(line), "%s%s", url, url[strlen(url) - 1] == '/' ? path + 1 : path);
	(void)curl_easy_setopt(c->easy, CURLOPT_URL, line);
	add_header(c, "Content-Type: application/json");
	add_header(c, "Expect:"); /* libcurl would ask before it sends a large body */
	if (token) {
		(void)snprintf(line, sizeof(line), "Authorization: %s", token);
		add_header(c, line);
	}
	(void)curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
	(void)curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
	(void)curl_easy_setopt(c->easy, CURLOPT_PREREQFUNCTION, on_send);
	(void)curl_easy_setopt(c->easy, CURLOPT_PREREQDATA, c);
	(void)curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->error);
	(void)curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
}

struct etcd_call *etcd_http_post(struct etcd_http *h, const char *url, const char *path,
	const char *token, const struct text *body, bool stream)
{
	struct call *c = mem_new(1, sizeof(*c));
	c->h = h;
	c->stream = stream;
	c->deadline_ms = boot_now_ms() + (int64_t)h->timeout_ms;
	c->easy = curl_easy_init();
	if (!c->easy)
		err_abort("out of memory");
	set_transport(c);
	set_request(c, url, path, token);
	(void)curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE, (long)body->len);
	(void)curl_easy_setopt(c->easy, CURLOPT_COPYPOSTFIELDS, body->buf);
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
	c->easy = NULL;
	c->headers = NULL;
}

void etcd_call_free(struct etcd_call *public)
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

char *etcd_call_line(struct etcd_call *public, size_t *len)
{
	struct call *c = (struct call *)public;
	char *end = call_line_end(c);
	if (!end)
		return NULL;
	c->held = true;
	*len = (size_t)(end - (c->public.body.buf + c->read));
	return c->public.body.buf + c->read;
}

void etcd_call_taken(struct etcd_call *public)
{
	struct call *c = (struct call *)public;
	char *end = call_line_end(c);
	if (!c->held || !end)
		return;
	c->held = false;
	c->read = (size_t)(end - c->public.body.buf) + 1;
	if (!c->easy || call_line_end(c))
		return;
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
	c->public.state = lost ? ETCD_LOST : ETCD_UNSENT;
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
	(void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &c->public.status);
	c->public.state = c->too_large ? ETCD_TOO_LARGE : ETCD_ANSWERED;
	call_release(c);
}

static void http_finish_all(struct etcd_http *h)
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

static void http_expire(struct etcd_http *h)
{
	int64_t now = boot_now_ms();
	for (struct call *c = h->calls; c; c = c->next) {
		if (!c->easy || c->deadline_ms > now)
			continue;
		char why[64];
		(void)snprintf(why, sizeof(why), "no answer within %u ms", h->timeout_ms);
		c->public.timed_out = true;
		call_lose(c, why);
	}
}

void etcd_http_pump(struct etcd_http *h)
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

int etcd_http_fd(const struct etcd_http *h)
{
	return h->epoll;
}

int64_t etcd_http_deadline_ms(const struct etcd_http *h)
{
	int64_t at = h->timer_ms;
	for (const struct call *c = h->calls; c; c = c->next)
		if (c->easy && c->deadline_ms < at)
			at = c->deadline_ms;
	return at;
}
