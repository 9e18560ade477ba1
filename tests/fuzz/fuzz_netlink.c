/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the kernel's replies. The input is a datagram that every list and every question of ours
 * gets for an answer, through a socket pair in place of the kernel. Sequence numbers are made to fit, since
 * no fuzzer guesses them; a proper end follows, as the kernel always sends one.
 */
#include "tests/fuzz/fuzz.h"

#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/mem.h"
#include "lib/net_detail.h"
#include "lib/net_link.h"
#include "lib/net_neigh.h"
#include "lib/net_queue.h"
#include "lib/net_route.h"

#define MOST 16384

struct kernel {
	struct net net; /* this end of the pair */
	int end;	/* the other one */
	size_t size;
	_Alignas(NLMSG_ALIGNTO) char datagram[MOST];
};

/* What the next question will get for an answer. */
static void prepare(struct kernel *k)
{
	const struct nlmsghdr *m;
	NETLINK_EACH(m, k->datagram, k->size)
	((struct nlmsghdr *)m)->nlmsg_seq = k->net.seq;
	struct nlmsghdr done = {
		.nlmsg_len = NLMSG_HDRLEN, .nlmsg_type = NLMSG_DONE, .nlmsg_seq = k->net.seq};
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
	} ack = {.head = {.nlmsg_len = sizeof(ack),
			 .nlmsg_type = NLMSG_ERROR,
			 .nlmsg_seq = k->net.seq}};
	CHECK(send(k->end, k->datagram, k->size, 0) >= 0);
	CHECK(send(k->end, &done, sizeof(done), 0) >= 0);
	CHECK(send(k->end, &ack, sizeof(ack), 0) >= 0);
}

/* What was asked, and what of the answer nobody read. */
static void drain(struct kernel *k)
{
	char buf[MOST];
	while (recv(k->end, buf, sizeof(buf), MSG_DONTWAIT) >= 0)
		;
	while (recv(k->net.fd, buf, sizeof(buf), MSG_DONTWAIT) >= 0)
		;
}

#define LIST(k, type, call)                                                                        \
	do {                                                                                       \
		type *list = NULL;                                                                 \
		size_t count = 0;                                                                  \
		struct err e = {0};                                                                \
		prepare(k);                                                                        \
		int r = call;                                                                      \
		CHECK(r <= 0 && (r == 0 || (!list && *e.text)));                                   \
		free(list);                                                                        \
		drain(k);                                                                          \
	} while (0)

static void run(struct kernel *k)
{
	LIST(k, struct net_detail_link, net_detail_links(&k->net, &list, &count, &e));
	LIST(k, struct net_detail_rule, net_detail_rules(&k->net, AF_INET, &list, &count, &e));
	LIST(k, struct net_detail_route,
		net_detail_routes(&k->net, AF_INET, RT_TABLE_MAIN, &list, &count, &e));
	LIST(k, struct net_link, net_list_links(&k->net, &list, &count, &e));
	LIST(k, struct net_addr, net_list_addrs(&k->net, &list, &count, &e));
	LIST(k, struct net_neigh, net_list_neighs(&k->net, 2, AF_INET, &list, &count, &e));
	LIST(k, struct net_neigh, net_list_neighs(&k->net, 2, AF_BRIDGE, &list, &count, &e));
	LIST(k, struct net_route, net_list_routes(&k->net, AF_INET, 0, &list, &count, &e));
	struct net_link link = {0};
	struct err e = {0};
	prepare(k);
	(void)net_find_link(&k->net, (struct net_dev){.index = 2}, &link, &e);
	CHECK(memchr(link.name, 0, sizeof(link.name)) && memchr(link.alias, 0, sizeof(link.alias)));
	drain(k);
	struct net_route route = {0};
	const struct addr to = {.family = AF_INET, .bytes = {203, 0, 113, 1}};
	prepare(k);
	(void)net_find_route(&k->net, &to, &route, &e);
	drain(k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int pair[2];
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) == 0);
	struct kernel *k = mem_new(1, sizeof(*k));
	k->net.fd = pair[0];
	k->net.seq = 1;
	k->end = pair[1];
	k->size = size < MOST ? size : MOST;
	memcpy(k->datagram, data, k->size);
	run(k);
	mem_cleanup_fd(&pair[0]);
	mem_cleanup_fd(&pair[1]);
	free(k);
	return 0;
}
