/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The routing socket and its queue. Messages are built one behind the other in one buffer and go to
 * the kernel in one sendmsg(); the kernel works through them in order before the call returns. Only
 * the last one asks for an acknowledgement: a refused message is always answered, so silence about
 * the others means success, and the usual ADD reads one datagram instead of fifteen.
 *
 * Replies are matched by sequence number: seq + index in the queue. Answers to questions inside the
 * queue go to the function of whoever asked. Nothing here knows what the messages mean.
 */
#include "lib/net.h"

#include <assert.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/mem.h"
#include "lib/net_queue.h"
#include "lib/ns.h"

int net_open(struct net **out, struct err *e)
{
	int fd;
	int r = netlink_open(NETLINK_ROUTE, &fd, e);
	if (r < 0)
		return r;
	struct net *n =
		mem_new_raw(sizeof(*n)); /* zeroing it would touch pages that nobody needs */
	n->fd = fd;
	n->seq = 1;
	n->count = 0;
	n->used = 0;
	n->tag = 0;
	n->strict = false;
	*out = n;
	return 0;
}

void net_close(struct net *n)
{
	if (!n)
		return;
	mem_cleanup_fd(&n->fd);
	free(n);
}

uint64_t net_cookie(const struct net *n)
{
	return ns_cookie_of(n->fd);
}

void net_cleanup(struct net **n)
{
	net_close(*n);
}

void net_tag(struct net *n, int tag)
{
	n->tag = tag;
}

struct nlmsghdr *net_queue(struct net *n, uint16_t type, uint16_t flags, const char *what, ...)
{
	assert(n->count < NET_QUEUE_MESSAGES && n->used + 2048 < sizeof(n->buf));
	struct net_pending *p = &n->pending[n->count];
	*p = (struct net_pending){.tag = n->tag};
	va_list args;
	va_start(args, what);
	(void)vsnprintf(p->what, sizeof(p->what), what, args);
	va_end(args);
	struct nlmsghdr *m = netlink_begin(n->buf + n->used, type, flags);
	m->nlmsg_seq = n->seq + (unsigned int)n->count;
	return m;
}

struct net_pending *net_queue_end(struct net *n, struct nlmsghdr *message)
{
	n->used += NLMSG_ALIGN(message->nlmsg_len);
	n->count++;
	return &n->pending[n->count - 1];
}

void net_put_addr(struct nlmsghdr *message, uint16_t type, const struct addr *a)
{
	netlink_put(message, type, a->bytes, addr_size(a));
}

static bool is_tolerated(enum net_tolerance tolerance, int error)
{
	if (tolerance == NET_MAY_FAIL)
		return true;
	if (tolerance == NET_MAY_EXIST)
		return error == EEXIST;
	static const int lacks[] = {ENODEV, ESRCH, ENOENT, EADDRNOTAVAIL, EAFNOSUPPORT, EOPNOTSUPP};
	for (size_t i = 0; tolerance == NET_MAY_LACK && i < sizeof(lacks) / sizeof(*lacks); i++)
		if (error == lacks[i])
			return true;
	return false;
}

struct outcome {
	int error; /* errno of the first refusal, 0 */
	int at;
	bool done;
};

static void take_error(
	struct net *n, const struct nlmsghdr *reply, size_t index, struct outcome *o, struct err *e)
{
	int error = netlink_error(reply);
	const struct net_pending *p = &n->pending[index];
	if (error && !o->error && !is_tolerated(p->tolerance, error)) {
		char sentence[180];
		netlink_sentence(reply, sentence, sizeof(sentence));
		(void)err_set(e, error, "cannot %s: %s%s", p->what, strerror(error), sentence);
		o->error = error;
		o->at = p->tag;
	}
	o->done = index == n->count - 1;
}

static void take_datagram(
	struct net *n, const char *buf, size_t len, struct outcome *o, struct err *e)
{
	const struct nlmsghdr *reply;
	NETLINK_EACH(reply, buf, len)
	{
		size_t index = reply->nlmsg_seq - n->seq;
		if (index >= n->count)
			continue;
		const struct net_pending *p = &n->pending[index];
		if (reply->nlmsg_type == NLMSG_ERROR)
			take_error(n, reply, index, o, e);
		else if (p->on_reply)
			p->on_reply(reply, p->arg);
	}
}

int net_commit(struct net *n, int *at, struct err *e)
{
	if (n->count == 0)
		return 0;
	struct nlmsghdr *last = (void *)n->buf;
	for (size_t i = 1; i < n->count; i++)
		last = (void *)((char *)last + NLMSG_ALIGN(last->nlmsg_len));
	last->nlmsg_flags |= NLM_F_ACK;
	struct outcome o = {0};
	int r = netlink_send(n->fd, n->buf, n->used, e);
	_Alignas(NLMSG_ALIGNTO) char buf[NET_ANSWER_BYTES];
	while (r >= 0 && !o.done) {
		r = netlink_receive(n->fd, buf, sizeof(buf), e);
		if (r >= 0)
			take_datagram(n, buf, (size_t)r, &o, e);
	}
	n->seq += (unsigned int)n->count;
	n->count = 0;
	n->used = 0;
	n->tag = 0;
	if (at)
		*at = o.at;
	return r < 0 ? r : -o.error;
}

struct nlmsghdr *net_dump_init(struct net_dump *d, uint16_t type, size_t header, size_t size)
{
	*d = (struct net_dump){.size = size};
	struct nlmsghdr *m = netlink_begin(d->request, type, NLM_F_DUMP);
	(void)netlink_put_header(m, header);
	return m;
}

void *net_dump_add(struct net_dump *d)
{
	d->v = mem_grow(d->v, &d->room, d->count, d->size);
	return (char *)d->v + d->size * d->count++;
}

/* One datagram of a dump. 1: more follow. */
static int take_part(
	const char *buf, size_t len, struct net_dump *d, net_reply_fn *fn, struct err *e)
{
	const unsigned int seq = ((const struct nlmsghdr *)(const void *)d->request)->nlmsg_seq;
	const struct nlmsghdr *reply;
	NETLINK_EACH(reply, buf, len)
	{
		if (reply->nlmsg_seq != seq)
			continue;
		if (reply->nlmsg_type == NLMSG_DONE)
			return 0;
		if (reply->nlmsg_type == NLMSG_ERROR) {
			int error = netlink_error(reply);
			return err_set(
				e, error, "cannot list from the kernel: %s", strerror(error));
		}
		fn(reply, d);
	}
	return 1;
}

/* Dumps: the reply is a train of datagrams that ends with NLMSG_DONE. NLM_F_DUMP_INTR says that
 * the table changed meanwhile; what was read is still true of its moment, which is all that a
 * list can promise. */
int net_dump(struct net *n, struct net_dump *d, net_reply_fn *fn, void **out, size_t *count,
	struct err *e)
{
	if (!n->strict) {
		netlink_option(n->fd, NETLINK_GET_STRICT_CHK);
		n->strict = true;
	}
	struct nlmsghdr *request = (void *)d->request;
	request->nlmsg_seq = n->seq++;
	int r = netlink_send(n->fd, request, request->nlmsg_len, e);
	_Alignas(NLMSG_ALIGNTO) char buf[NET_REPLY_BYTES];
	for (bool more = r >= 0; more; more = r > 0) {
		r = netlink_receive(n->fd, buf, sizeof(buf), e);
		if (r >= 0)
			r = take_part(buf, (size_t)r, d, fn, e);
	}
	if (r < 0) {
		free(d->v);
		return r;
	}
	*out = d->v;
	*count = d->count;
	return 0;
}
