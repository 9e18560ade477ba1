/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The servers of a place: UDP and TCP, IPv4 and IPv6, each a socket of its own. A datagram is answered from
 * the address that it was sent to (packet info), or a node with several addresses would answer
 * from another one. What they heard is remembered by nonce, in a ring: who sends with somebody
 * else's address gets no answer, but is found out here.
 *
 * A TCP connection is one line each way. Connections have a deadline and are few; the one too many
 * is closed at once.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>

#include "cli/probe/probe_impl.h"
#include "cli/probe/message.h"
#include "cli/probe/socket.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define CONNS_MAX 256
#define CONN_NS 15000000000u
#define DATAGRAMS 32 /* that one event reads */
#define PORT_TRIES 8

struct probe_conn {
	struct probe_conn *next;
	struct probe_watch watch;
	struct probe_server *server;
	struct addr source;
	uint64_t end_ns;
	char *buf; /* PROBE_MESSAGE_MAX + 1 */
	size_t len;
	size_t done; /* of the answer */
	bool answers, over;
};

/* ---- What was heard ---- */

static struct probe_heard *find_heard(const struct probe_server *s, const char *nonce)
{
	for (size_t i = 0; s->heard && i < PROBE_HEARD; i++)
		if (s->heard[i].count && strcmp(s->heard[i].nonce, nonce) == 0)
			return &s->heard[i];
	return NULL;
}

static void server_hear(struct probe_server *s, const char *nonce, const struct addr *source)
{
	struct probe_heard *h = find_heard(s, nonce);
	if (!h) {
		h = &s->heard[s->next++ % PROBE_HEARD];
		h->count = 0;
		(void)text_copy(h->nonce, sizeof(h->nonce), nonce);
	}
	h->source = *source;
	h->count++;
}

int probe_received(struct probe *p, const struct probe_request *call, struct err *e)
{
	struct probe_pod *pod = NULL;
	int r = probe_place(p, call->place, &pod, e);
	if (r < 0)
		return r;
	const struct probe_heard *h = find_heard(pod ? &pod->server : &p->server, call->nonce);
	json_put(call->answer, "count", json_of_number(h ? h->count : 0));
	json_put(call->answer, "source", json_of_text(h ? ADDR_STRING(&h->source) : ""));
	return 0;
}

/* ---- UDP ---- */

static void answer_datagram(int fd, struct msghdr *m, const struct probe_message *question)
{
	const struct sockaddr_storage *from = m->msg_name;
	struct probe_message a = *question;
	a.is_answer = true;
	probe_socket_addr(from, &a.source);
	probe_message_format(&a, m->msg_iov->iov_base, m->msg_iov->iov_len);
	probe_socket_set_df(fd, from->ss_family, question->df);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo *info = (void *)CMSG_DATA(c);
			info->ipi_spec_dst = info->ipi_addr;
			info->ipi_ifindex = 0; /* routes decide */
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo *info = (void *)CMSG_DATA(c);
			if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
				info->ipi6_ifindex = 0;
		}
	}
	(void)sendmsg(fd, m, MSG_DONTWAIT); /* lost, as any datagram may be */
}

static void on_datagram(struct probe *p, struct probe_watch *w, uint32_t events)
{
	(void)p;
	(void)events;
	const size_t size = PROBE_MESSAGE_MAX + 1;
	CLEANUP_FREE char *buf = mem_new(size, 1);
	struct probe_server *s = w->owner;
	for (int i = 0; i < DATAGRAMS; i++) {
		_Alignas(struct cmsghdr) char control[256];
		struct sockaddr_storage from = {0};
		struct iovec vector = {buf, size};
		struct msghdr m = {
			.msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &vector,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		struct probe_message question;
		ssize_t n = recvmsg(w->fd, &m, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 || !probe_message_parse(buf, (size_t)n, &question) || question.is_answer)
			continue;
		struct addr source;
		probe_socket_addr(&from, &source);
		server_hear(s, question.nonce, &source);
		vector.iov_len = (size_t)n;
		answer_datagram(w->fd, &m, &question);
	}
}

/* ---- TCP ---- */

static void conn_reap(struct probe *p)
{
	for (struct probe_conn **at = &p->conns; *at;) {
		struct probe_conn *c = *at;
		if (!c->over) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		p->n_conns--;
		probe_watch_close(&c->watch);
		free(c->buf);
		free(c);
	}
}

static void go_on_answering(struct probe *p, struct probe_conn *c)
{
	while (c->done < c->len) {
		ssize_t n = send(c->watch.fd, c->buf + c->done, c->len - c->done, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) {
			probe_watch_change(p, &c->watch, EPOLLOUT);
			return;
		}
		if (n < 0)
			break;
		c->done += (size_t)n;
	}
	/* The asker closes: so its end and not ours waits in TIME_WAIT, and nothing is cut off. */
	c->over = c->done < c->len;
	if (!c->over)
		probe_watch_change(p, &c->watch, EPOLLIN);
}

static void answer_line(struct probe *p, struct probe_conn *c, size_t len)
{
	struct probe_message m;
	if (!probe_message_parse(c->buf, len, &m) || m.is_answer) {
		c->over = true;
		return;
	}
	server_hear(c->server, m.nonce, &c->source);
	m.is_answer = true;
	m.source = c->source;
	probe_message_format(&m, c->buf, len);
	c->buf[len] = '\n';
	c->len = len + 1;
	c->answers = true;
	go_on_answering(p, c);
}

static void read_line(struct probe *p, struct probe_conn *c)
{
	size_t room = PROBE_MESSAGE_MAX + 1 - c->len;
	ssize_t n = recv(c->watch.fd, c->buf + c->len, room, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || c->answers) {
		c->over = true; /* gone, or has nothing more to say */
		return;
	}
	const char *end = memchr(c->buf + c->len, '\n', (size_t)n);
	c->len += (size_t)n;
	if (end)
		answer_line(p, c, (size_t)(end - c->buf));
	else
		c->over = c->len > PROBE_MESSAGE_MAX;
}

static void on_conn(struct probe *p, struct probe_watch *w, uint32_t events)
{
	struct probe_conn *c = w->owner;
	if (c->answers && c->done < c->len && !(events & (EPOLLERR | EPOLLHUP)))
		go_on_answering(p, c);
	else
		read_line(p, c);
	conn_reap(p);
}

static void on_caller(struct probe *p, struct probe_watch *w, uint32_t events)
{
	(void)events;
	struct sockaddr_storage from = {0};
	socklen_t len = sizeof(from);
	struct err ignored;
	int fd = accept4(w->fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	struct probe_conn *c = mem_new(1, sizeof(*c));
	c->watch = (struct probe_watch){.fd = fd, .on = on_conn, .owner = c};
	c->server = w->owner;
	c->end_ns = boot_now_ns() + CONN_NS;
	c->buf = mem_new(PROBE_MESSAGE_MAX + 1, 1);
	probe_socket_addr(&from, &c->source);
	c->over = p->n_conns >= CONNS_MAX || probe_watch_add(p, &c->watch, EPOLLIN, &ignored) < 0;
	c->next = p->conns;
	p->conns = c;
	p->n_conns++;
	conn_reap(p);
}

uint64_t probe_server_next(const struct probe *p)
{
	uint64_t next = UINT64_MAX;
	for (const struct probe_conn *c = p->conns; c; c = c->next)
		next = c->end_ns < next ? c->end_ns : next;
	return next;
}

void probe_server_tick(struct probe *p, uint64_t now_ns)
{
	for (struct probe_conn *c = p->conns; c; c = c->next)
		c->over |= c->end_ns <= now_ns;
	conn_reap(p);
}

/* ---- Opening and closing ---- */

static int bind_any(int fd, int family, uint16_t port, struct err *e)
{
	struct sockaddr_storage name;
	const struct addr any = {.family = (uint8_t)family};
	int on = 1;
	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	socklen_t len = probe_socket_name(&any, port, &name);
	if (bind(fd, (struct sockaddr *)&name, len) < 0)
		return err_set(e, errno, "cannot listen on port %u: %s", port, strerror(errno));
	return 0;
}

/* Fails without IPv6 with -EAFNOSUPPORT. */
static int open_one(struct probe *p, struct probe_server *s, const struct ns *ns, size_t i,
	uint16_t port, struct err *e)
{
	int family = i % 2 ? AF_INET6 : AF_INET, on = 1;
	bool tcp = i >= 2;
	struct probe_watch *w = &s->sockets[i];
	int fd = probe_socket(ns, family, tcp ? SOCK_STREAM : SOCK_DGRAM, 0, e);
	if (fd < 0)
		return fd;
	*w = (struct probe_watch){.fd = fd, .on = tcp ? on_caller : on_datagram, .owner = s};
	int r = bind_any(fd, family, port, e);
	if (r < 0)
		return r;
	if (tcp && listen(fd, CONNS_MAX) < 0)
		return err_set(e, errno, "cannot listen: %s", strerror(errno));
	if (!tcp && family == AF_INET)
		(void)setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	else if (!tcp)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	r = probe_watch_add(p, w, EPOLLIN, e);
	return r < 0 ? r : probe_socket_port(fd);
}

/* UDP or TCP, IPv4 first, IPv6 on the port that it got: the port, or an error. */
static int open_pair(struct probe *p, struct probe_server *s, const struct ns *ns, size_t first,
	uint16_t port, struct err *e)
{
	int got = open_one(p, s, ns, first, port, e);
	if (got < 0)
		return got;
	int r = open_one(p, s, ns, first + 1, (uint16_t)got, e);
	if (r < 0)
		probe_watch_close(&s->sockets[first + 1]);
	if (r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL)
		return got;
	if (r < 0)
		probe_watch_close(&s->sockets[first]);
	return r;
}

int probe_server_open(
	struct probe *p, struct probe_server *s, const struct ns *ns, uint16_t port, struct err *e)
{
	int ports[2] = {0};
	for (size_t i = 0; i < PROBE_SOCKETS; i++)
		s->sockets[i].fd = -1;
	s->open = true;
	for (size_t i = 0; i < 2; i++) {
		int tries = port ? 1 : PORT_TRIES;
		do
			ports[i] = open_pair(p, s, ns, 2 * i, port, e);
		while (ports[i] == -EADDRINUSE && --tries > 0);
		if (ports[i] < 0) {
			probe_server_close(p, s);
			return ports[i];
		}
	}
	s->heard = mem_new(PROBE_HEARD, sizeof(*s->heard));
	s->udp = (uint16_t)ports[0];
	s->tcp = (uint16_t)ports[1];
	return 0;
}

void probe_server_close(struct probe *p, struct probe_server *s)
{
	if (!s->open)
		return;
	for (struct probe_conn *c = p->conns; c; c = c->next)
		c->over |= c->server == s;
	conn_reap(p);
	for (size_t i = 0; i < PROBE_SOCKETS; i++)
		probe_watch_close(&s->sockets[i]);
	free(s->heard);
	*s = (struct probe_server){0};
}

int probe_serve(struct probe *p, const struct probe_request *call, struct err *e)
{
	struct probe_pod *pod = NULL;
	int r = probe_place(p, call->place, &pod, e);
	struct probe_server *s = pod ? &pod->server : &p->server;
	if (r >= 0 && !s->open)
		r = probe_server_open(p, s, pod ? &pod->ns : NULL, pod ? PROBE_PORT : 0, e);
	if (r < 0)
		return r;
	json_put(call->answer, "udp", json_integer(s->udp));
	json_put(call->answer, "tcp", json_integer(s->tcp));
	return 0;
}
