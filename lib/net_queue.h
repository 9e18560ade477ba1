/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The inside of struct net, shared by net.c (socket and queue) and net_*.c (messages and lists)
 * alone. Everybody else includes lib/net.h.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/net.h"
#include "lib/netlink.h"

#define NET_QUEUE_BYTES 16384
#define NET_QUEUE_MESSAGES 48
#define NET_REPLY_BYTES 32768 /* of a dump: what the kernel puts into one datagram */
#define NET_ANSWER_BYTES 8192 /* of a single object */

/* Takes one reply message of the kernel; arg is net_pending.arg. */
typedef void net_reply_fn(const struct nlmsghdr *reply, void *arg);

struct net_pending {
	char what[112]; /* "add route 100.66.0.1/32", for errors */
	enum net_tolerance tolerance;
	int tag;
	net_reply_fn *on_reply;
	void *arg;
};

struct net {
	int fd;
	unsigned int seq; /* of the first queued message */
	size_t count;	  /* of queued messages */
	size_t used;	  /* bytes */
	int tag;
	bool strict; /* the kernel filters dumps for us */
	struct net_pending pending[NET_QUEUE_MESSAGES];
	_Alignas(NLMSG_ALIGNTO) char buf[NET_QUEUE_BYTES];
};

/* Begins a message of the queue; end it with net_queue_end() before the next. What is asked for is
 * said in printf form. */
struct nlmsghdr *net_queue(struct net *n, uint16_t type, uint16_t flags, const char *what, ...)
	__attribute__((format(printf, 4, 5)));
struct net_pending *net_queue_end(struct net *n, struct nlmsghdr *message);

/* A dump: the question, and the list that is made of the replies. It may be the first member of a
 * struct that holds what else the reader of replies needs. */
struct net_dump {
	size_t size; /* bytes of an element */
	void *v;
	size_t count, room;
	_Alignas(NLMSG_ALIGNTO) char request[256];
};

/* Begins the question with a zeroed header of so many bytes; attributes may follow. */
struct nlmsghdr *net_dump_init(struct net_dump *d, uint16_t type, size_t header, size_t size);
void *net_dump_add(struct net_dump *d); /* a new element, zeroed */

/* Asks, and hands each reply to fn, whose arg is d. *out is a heap array, the caller's. */
int net_dump(struct net *n, struct net_dump *d, net_reply_fn *fn, void **out, size_t *count,
	struct err *e);

/* Reads a link's message into the struct net_link at arg. */
void net_read_link(const struct nlmsghdr *reply, void *arg);

void net_put_addr(struct nlmsghdr *message, uint16_t type, const struct addr *a);
