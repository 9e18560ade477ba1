/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stopwatch for routes: says when blocks appear in the store and their routes in kernels.
 *
 *	routes URL PREFIX NAME=NETNS...
 *
 * It watches blocks/ in the store, and the routes of each namespace (a path) over rtnetlink, in
 * one process and by one clock. Each line is a JSON object: "t" (CLOCK_BOOTTIME, ns), "where"
 * ("store" or NAME), "dst" and, for a route, "proto" (12 is BIRD, 82 roost). Only what appears is
 * told; what the store had before the first line, {"t": ..., "where": "ready"}, is not. SIGTERM
 * ends it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cluster/keys.h"
#include "lib/boot.h"
#include "lib/ns.h"

#define PLACES 16

struct place {
	const char *name;
	int fd;
};

struct watching {
	struct store *store;
	uint64_t watch;
	bool current;
	struct place places[PLACES];
	size_t n;
};

_Noreturn static void die(const char *what, const char *why)
{
	fprintf(stderr, "routes: %s: %s\n", what, why);
	exit(1);
}

static void say_block(const char *key)
{
	struct cidr block;
	char text[CIDR_TEXT];
	if (!keys_parse_block(key, &block))
		return;
	cidr_format(&block, text);
	printf("{\"t\": %llu, \"where\": \"store\", \"dst\": \"%s\"}\n",
		(unsigned long long)boot_now_ns(), text);
}

static void read_store(struct watching *w)
{
	struct store_event ev;
	while (store_next(w->store, &ev)) {
		if (ev.id != w->watch)
			continue;
		if (ev.kind == STORE_CURRENT && !w->current) {
			w->current = true;
			printf("{\"t\": %llu, \"where\": \"ready\"}\n",
				(unsigned long long)boot_now_ns());
		} else if (ev.kind == STORE_PUT && w->current) {
			say_block(ev.key);
		}
	}
}

static void say_route(const struct place *p, const struct nlmsghdr *h, uint64_t now_ns)
{
	const struct rtmsg *m = NLMSG_DATA(h);
	int left = (int)RTM_PAYLOAD(h);
	char text[INET6_ADDRSTRLEN];
	if (m->rtm_table != RT_TABLE_MAIN || (m->rtm_flags & RTM_F_CLONED))
		return;
	for (const struct rtattr *a = RTM_RTA(m); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == RTA_DST &&
			inet_ntop(m->rtm_family, RTA_DATA(a), text, sizeof(text)))
			printf("{\"t\": %llu, \"where\": \"%s\", \"dst\": \"%s/%u\", "
			       "\"proto\": %u}\n",
				(unsigned long long)now_ns, p->name, text, m->rtm_dst_len,
				m->rtm_protocol);
}

static void read_routes(const struct place *p)
{
	static char buf[65536] __attribute__((aligned(NLMSG_ALIGNTO)));
	ssize_t len = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT);
	uint64_t now_ns = boot_now_ns();
	if (len < 0 && errno == EAGAIN)
		return;
	if (len < 0)
		die(p->name, strerror(errno));
	unsigned int left = (unsigned int)len;
	for (const struct nlmsghdr *h = (void *)buf; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left))
		if (h->nlmsg_type == RTM_NEWROUTE)
			say_route(p, h, now_ns);
}

static int listen_in(const char *netns)
{
	CLEANUP_NS struct ns ns = NS_NONE;
	struct err e;
	struct sockaddr_nl at = {
		.nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE};
	int room = 8 << 20;
	if (ns_open(netns, &ns, &e) < 0 || ns_enter(&ns, &e) < 0)
		die(netns, e.text);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ns_leave(&ns);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		die(netns, strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	return fd;
}

static void open_places(struct watching *w, int n, char **args)
{
	for (int i = 0; i < n && w->n < PLACES; i++) {
		char *path = strchr(args[i], '=');
		if (!path)
			die(args[i], "not NAME=NETNS");
		*path++ = '\0';
		w->places[w->n++] = (struct place){.name = args[i], .fd = listen_in(path)};
	}
}

int main(int argc, char **argv)
{
	struct watching w = {0};
	struct err e;
	if (argc < 3) {
		fprintf(stderr, "routes URL PREFIX NAME=NETNS...\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	open_places(&w, argc - 3, argv + 3);
	struct store_options o = {.url = argv[1], .prefix = argv[2]};
	if (store_open(&w.store, &o, &e) < 0)
		die(argv[1], e.text);
	w.watch = store_start_watch(w.store, KEYS_BLOCKS);
	for (;;) {
		struct pollfd p[PLACES + 1] = {{.fd = store_fd(w.store), .events = POLLIN}};
		for (size_t i = 0; i < w.n; i++)
			p[i + 1] = (struct pollfd){.fd = w.places[i].fd, .events = POLLIN};
		if (poll(p, w.n + 1, -1) < 0)
			die("poll", strerror(errno));
		read_store(&w); /* the cause first: one that is woken late finds its effect, too */
		for (size_t i = 0; i < w.n; i++)
			if (p[i + 1].revents)
				read_routes(&w.places[i]);
	}
}
