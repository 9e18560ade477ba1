/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Captures: counting packets of one kind on all links of the node, by link and direction, to find
 * out where a tunnel's packets are lost. A packet socket without link sees them all, before the
 * firewall on the way in and behind it on the way out; a filter in the kernel passes on only the
 * protocol, the rest (peer, port) is looked at here. The kernel says how many it had to drop, so a
 * count of a busy node is known to be too low rather than taken for the truth.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>

#include "cli/probe/probe_impl.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define CAPTURES_MAX 16
#define PACKETS 64 /* that one event reads */
#define HEAD 128   /* bytes of a packet */
#define PORT_VXLAN 4789

struct count {
	int link;
	uint64_t in, out;
};

struct probe_capture {
	struct probe_capture *next;
	char id[PROBE_NAME];
	struct probe_watch watch;
	uint8_t family, protocol;
	uint16_t port;	  /* UDP destination; 0: any */
	struct addr peer; /* source or destination; family 0: any */
	struct count *counts;
	size_t n_counts, room;
};

static const struct what {
	const char *name;
	uint8_t family; /* 0: the peer's, or IPv4 */
	uint8_t protocol;
	uint16_t port; /* when none is said */
} whats[] = {
	{"ipip", AF_INET, IPPROTO_IPIP, 0},
	{"vxlan", 0, IPPROTO_UDP, PORT_VXLAN},
	{"udp", 0, IPPROTO_UDP, 0},
	{"tcp", 0, IPPROTO_TCP, 0},
	{"icmp4", AF_INET, IPPROTO_ICMP, 0},
	{"icmp6", AF_INET6, IPPROTO_ICMPV6, 0},
};

/* ---- Packets ---- */

static bool is_peer(const struct probe_capture *c, const uint8_t *at)
{
	return memcmp(at, c->peer.bytes, addr_size(&c->peer)) == 0;
}

/* head begins with the IP header; the filter has seen to family and protocol. */
static bool is_wanted(const struct probe_capture *c, const uint8_t *head, size_t len)
{
	bool four = c->family == AF_INET;
	size_t skip = four ? (size_t)(head[0] & 15) * 4 : 40;
	if (len < (four ? 20U : 40U))
		return false;
	const uint8_t *source = head + (four ? 12 : 8), *target = head + (four ? 16 : 24);
	if (c->peer.family && !is_peer(c, source) && !is_peer(c, target))
		return false;
	if (c->port == 0)
		return true;
	return len >= skip + 4 && (head[skip + 2] << 8 | head[skip + 3]) == c->port;
}

static void capture_count(struct probe_capture *c, const struct sockaddr_ll *from)
{
	size_t i = 0;
	while (i < c->n_counts && c->counts[i].link != from->sll_ifindex)
		i++;
	if (i == c->n_counts) {
		c->counts = mem_grow(c->counts, &c->room, i, sizeof(*c->counts));
		c->counts[c->n_counts++].link = from->sll_ifindex;
	}
	if (from->sll_pkttype == PACKET_OUTGOING)
		c->counts[i].out++;
	else
		c->counts[i].in++;
}

static void read_packets(struct probe_capture *c, int most)
{
	for (int i = 0; i < most; i++) {
		uint8_t head[HEAD];
		struct sockaddr_ll from = {0};
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(c->watch.fd, head, sizeof(head), MSG_DONTWAIT,
			(struct sockaddr *)&from, &len);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n > 0 && is_wanted(c, head, (size_t)n))
			capture_count(c, &from);
	}
}

static void on_packet(struct probe *p, struct probe_watch *w, uint32_t events)
{
	(void)p;
	(void)events;
	read_packets(w->owner, PACKETS);
}

/* ---- Opening and closing ---- */

/* Packets seen with SOCK_DGRAM begin with the IP header, in both directions. */
static int set_filter(const struct probe_capture *c, int fd)
{
	bool four = c->family == AF_INET;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, four ? ETH_P_IP : ETH_P_IPV6, 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, four ? 9 : 6),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, c->protocol, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, HEAD),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

/* Nothing is received before the filter is there: protocol 0 is none. */
static int open_capture(struct probe *p, struct probe_capture *c, struct err *e)
{
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(e, errno, "cannot open a packet socket: %s", strerror(errno));
	c->watch = (struct probe_watch){.fd = fd, .on = on_packet, .owner = c};
	const struct sockaddr_ll all = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
	};
	if (set_filter(c, fd) < 0 || bind(fd, (const struct sockaddr *)&all, sizeof(all)) < 0)
		return err_set(e, errno, "cannot capture: %s", strerror(errno));
	return probe_watch_add(p, &c->watch, EPOLLIN, e);
}

static void free_capture(struct probe_capture *c)
{
	probe_watch_close(&c->watch);
	free(c->counts);
	free(c);
}

void probe_captures_done(struct probe *p)
{
	while (p->captures) {
		struct probe_capture *c = p->captures;
		p->captures = c->next;
		free_capture(c);
	}
}

/* ---- Requests ---- */

static struct probe_capture **capture_find(struct probe *p, const char *id)
{
	struct probe_capture **at = &p->captures;
	while (*at && strcmp((*at)->id, id) != 0)
		at = &(*at)->next;
	return at;
}

static int capture_take(struct probe_capture *c, const struct probe_request *call, struct err *e)
{
	const struct what *w = NULL;
	for (size_t i = 0; i < sizeof(whats) / sizeof(whats[0]); i++)
		if (strcmp(whats[i].name, call->what) == 0)
			w = &whats[i];
	if (!w)
		return err_set(e, EINVAL, "\"what\" is not ipip, vxlan, udp, tcp, icmp4 or icmp6");
	c->peer = call->peer;
	if (w->family && c->peer.family && w->family != c->peer.family)
		return err_set(e, EINVAL, "%s is never of that peer's family", w->name);
	c->family = w->family ? w->family : c->peer.family ? c->peer.family : AF_INET;
	c->protocol = w->protocol;
	bool has_port = w->protocol == IPPROTO_UDP || w->protocol == IPPROTO_TCP;
	if (call->port && !has_port)
		return err_set(e, EINVAL, "%s has no ports", w->name);
	c->port = call->port ? call->port : w->port;
	return 0;
}

int probe_capture_start(struct probe *p, const struct probe_request *call, struct err *e)
{
	const char *name = call->capture;
	size_t n = 0;
	for (const struct probe_capture *c = p->captures; c; c = c->next)
		n++;
	if (*capture_find(p, name))
		return err_set(e, EEXIST, "there is a capture \"%s\" already", name);
	if (n == CAPTURES_MAX)
		return err_set(e, EAGAIN, "there are %d captures already", CAPTURES_MAX);
	struct probe_capture *c = mem_new(1, sizeof(*c));
	(void)text_copy(c->id, sizeof(c->id), name);
	c->watch.fd = -1;
	int r = capture_take(c, call, e);
	if (r >= 0)
		r = open_capture(p, c, e);
	if (r < 0) {
		free_capture(c);
		return r;
	}
	c->next = p->captures;
	p->captures = c;
	return 0;
}

/* Links by name, those without packets left out. */
static json_t *capture_describe(const struct probe_capture *c, bool out)
{
	json_t *o = json_object();
	for (size_t i = 0; i < c->n_counts; i++) {
		char name[IF_NAMESIZE] = "";
		uint64_t n = out ? c->counts[i].out : c->counts[i].in;
		if (n && if_indextoname((unsigned int)c->counts[i].link, name))
			json_put(o, name, json_of_number(n));
	}
	return o;
}

int probe_captured(struct probe *p, const struct probe_request *call, struct err *e)
{
	struct probe_capture **at = capture_find(p, call->capture), *c = *at;
	if (!c)
		return err_set(e, ENOENT, "there is no capture \"%s\"", call->capture);
	struct tpacket_stats stats = {0};
	socklen_t len = sizeof(stats);
	(void)getsockopt(c->watch.fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len);
	read_packets(c, (int)stats.tp_packets + 1);
	json_put(call->answer, "in", capture_describe(c, false));
	json_put(call->answer, "out", capture_describe(c, true));
	json_put(call->answer, "dropped", json_integer(stats.tp_drops));
	*at = c->next;
	free_capture(c);
	return 0;
}
