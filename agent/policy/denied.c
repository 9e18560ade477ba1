/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NFLOG: the kernel sends the first bytes of a packet with the prefix of its rule to whoever has bound the group, one
 * process of a network namespace. The bytes come from pods, so from strangers: nothing is read behind them.
 *
 * A packet like one that was news within REPEAT_MS is none, and counted. What is alike is found by a hash in a
 * table of fixed size: where two share a slot the newer one has it, and both are told of more often.
 */
#include "agent/policy/denied.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hash.h"
#include "lib/mem.h"
#include "lib/netlink.h"

#define DATAGRAM 65536
#define SNAP 128	/* bytes of a packet that are asked for */
#define TIMEOUT 10	/* hundredths of a second until the kernel sends what it gathered */
#define REPEAT_MS 10000 /* the same peers, port and rule are told once in so long */
#define ALIKE 1024	/* kinds of packets that are remembered */
#define BURST 50	/* lines at once */
#define RATE_MS 200	/* one line more in so long */
#define EXTENSIONS 8	/* headers of IPv6 before the transport's */

struct policy_denied_seen {
	struct hash key;
	int64_t told_ms;
	uint64_t since; /* packets that were not told of */
};

struct policy_denied {
	int fd;
	char *buf;
	size_t size, at;
	int64_t tokens, refilled_ms;
	struct policy_denied_seen seen[ALIKE];
};

static struct nlmsghdr *policy_denied_config(char *at, uint16_t group)
{
	struct nlmsghdr *m =
		netlink_begin(at, NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG, NLM_F_ACK);
	struct nfgenmsg *info = netlink_put_header(m, sizeof(*info));
	info->version = NFNETLINK_V0;
	info->res_id = htons(group);
	return m;
}

static int policy_denied_bind(struct policy_denied *d, uint16_t group, struct err *e)
{
	_Alignas(NLMSG_ALIGNTO) char question[256], answer[1024];
	const struct nfulnl_msg_config_cmd bind = {.command = NFULNL_CFG_CMD_BIND};
	const struct nfulnl_msg_config_mode mode = {
		.copy_range = htonl(SNAP), .copy_mode = NFULNL_COPY_PACKET};
	struct nlmsghdr *m = policy_denied_config(question, group);
	netlink_put(m, NFULA_CFG_CMD, &bind, sizeof(bind));
	netlink_put(m, NFULA_CFG_MODE, &mode, sizeof(mode));
	netlink_put_be32(m, NFULA_CFG_TIMEOUT, TIMEOUT);
	int r = netlink_send(d->fd, m, m->nlmsg_len, e);
	if (r >= 0)
		r = netlink_receive(d->fd, answer, sizeof(answer), e);
	if (r < 0)
		return r;
	const struct nlmsghdr *reply = netlink_next(answer, (size_t)r, NULL);
	int error = reply && reply->nlmsg_type == NLMSG_ERROR ? netlink_error(reply) : EPROTO;
	if (error == EPERM)
		return err_set(e, EPERM,
			"log group %u of NFLOG is another process's (or this one lacks "
			"CAP_NET_ADMIN)",
			group);
	return error ? err_set(e, error, "cannot listen to log group %u of NFLOG: %s", group,
			       strerror(error))
		     : 0;
}

int policy_denied_open(uint16_t group, struct policy_denied **out, struct err *e)
{
	struct policy_denied *d = mem_new(1, sizeof(*d));
	d->tokens = BURST;
	d->fd = -1;
	d->buf = mem_new_raw(DATAGRAM);
	int r = netlink_open(NETLINK_NETFILTER, &d->fd, e);
	if (r >= 0)
		r = policy_denied_bind(d, group, e);
	if (r < 0) {
		policy_denied_close(d);
		return r;
	}
	(void)fcntl(d->fd, F_SETFL, O_NONBLOCK);
	*out = d;
	return 0;
}

void policy_denied_close(struct policy_denied *d)
{
	if (!d)
		return;
	mem_cleanup_fd(&d->fd);
	free(d->buf);
	free(d);
}

int policy_denied_fd(const struct policy_denied *d)
{
	return d->fd;
}

/*
 * Packets.
 */

static uint16_t policy_read_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void policy_read_transport(const uint8_t *p, size_t n, struct policy_denied_packet *out)
{
	bool has_ports = out->proto == IPPROTO_TCP || out->proto == IPPROTO_UDP ||
			 out->proto == IPPROTO_SCTP;
	if (has_ports && n >= 4) {
		out->sport = policy_read_u16(p);
		out->dport = policy_read_u16(p + 2);
	}
	if ((out->proto == IPPROTO_ICMP || out->proto == IPPROTO_ICMPV6) && n >= 2) {
		out->icmp_type = p[0];
		out->icmp_code = p[1];
	}
}

static bool policy_read_ipv4(const uint8_t *p, size_t n, struct policy_denied_packet *out)
{
	size_t header = n ? (size_t)(p[0] & 0xf) * 4 : 0;
	if (n < sizeof(struct iphdr) || header < sizeof(struct iphdr) || p[0] >> 4 != 4)
		return false;
	out->source.family = out->destination.family = AF_INET;
	memcpy(out->source.bytes, p + 12, 4);
	memcpy(out->destination.bytes, p + 16, 4);
	out->proto = p[9];
	bool is_first = !(policy_read_u16(p + 6) & 0x1fff);
	if (is_first && header < n)
		policy_read_transport(p + header, n - header, out);
	return true;
}

static bool policy_read_ipv6(const uint8_t *p, size_t n, struct policy_denied_packet *out)
{
	size_t at = sizeof(struct ip6_hdr);
	if (n < at || p[0] >> 4 != 6)
		return false;
	out->source.family = out->destination.family = AF_INET6;
	memcpy(out->source.bytes, p + 8, 16);
	memcpy(out->destination.bytes, p + 24, 16);
	uint8_t next = p[6];
	for (int i = 0; i < EXTENSIONS; i++) {
		bool is_option = next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING ||
				 next == IPPROTO_DSTOPTS;
		if ((!is_option && next != IPPROTO_FRAGMENT) || n < at + 8)
			break;
		if (next == IPPROTO_FRAGMENT && policy_read_u16(p + at + 2) & 0xfff8) {
			out->proto = p[at];
			return true;
		}
		next = p[at];
		at += is_option ? 8 + (size_t)p[at + 1] * 8 : 8;
		if (at >= n)
			break;
	}
	out->proto = next;
	if (at < n)
		policy_read_transport(p + at, n - at, out);
	return true;
}

bool policy_denied_read(const uint8_t *packet, size_t n, struct policy_denied_packet *out)
{
	memset(out, 0, sizeof(*out)); /* with its holes: it is hashed */
	out->icmp_type = out->icmp_code = -1;
	return policy_read_ipv4(packet, n, out) || policy_read_ipv6(packet, n, out);
}

static bool policy_denied_take(const struct nlmsghdr *m, struct policy_denied_packet *out)
{
	const struct nlattr *attr, *payload = NULL, *prefix = NULL;
	if (m->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET))
		return false;
	NETLINK_EACH_ATTR (attr, m, sizeof(struct nfgenmsg)) {
		if (netlink_type(attr) == NFULA_PREFIX)
			prefix = attr;
		else if (netlink_type(attr) == NFULA_PAYLOAD)
			payload = attr;
	}
	if (!payload || !policy_denied_read(netlink_data(payload), netlink_size(payload), out))
		return false;
	if (prefix)
		netlink_copy_text(out->prefix, sizeof(out->prefix), prefix);
	return true;
}

/*
 * What is told.
 */

struct hash policy_denied_key(const struct policy_denied_packet *p)
{
	struct policy_denied_packet key;
	memcpy(&key, p, sizeof(key));
	key.sport = 0;
	key.before = 0;
	key.is_news = false;
	return hash_of(&key, sizeof(key));
}

static bool policy_denied_may_tell(struct policy_denied *d, int64_t now_ms)
{
	int64_t fresh = (now_ms - d->refilled_ms) / RATE_MS;
	if (fresh > 0) {
		d->tokens = d->tokens + fresh < BURST ? d->tokens + fresh : BURST;
		d->refilled_ms = now_ms;
	}
	if (d->tokens == 0)
		return false;
	d->tokens--;
	return true;
}

static bool policy_denied_is_news(
	struct policy_denied *d, int64_t now_ms, struct policy_denied_packet *p)
{
	struct hash key = policy_denied_key(p);
	struct policy_denied_seen *s = &d->seen[hash_slot(&key) % ALIKE];
	bool same = hash_equal(&s->key, &key);
	bool is_new = !same || now_ms - s->told_ms >= REPEAT_MS;
	if (!is_new || !policy_denied_may_tell(d, now_ms)) {
		s->since += same;
		return false;
	}
	p->before = same ? s->since : 0;
	*s = (struct policy_denied_seen){.key = key, .told_ms = now_ms};
	return true;
}

int policy_denied_next(
	struct policy_denied *d, int64_t now_ms, struct policy_denied_packet *out, struct err *e)
{
	for (;;) {
		const struct nlmsghdr *m =
			d->at < d->size ? netlink_next(d->buf + d->at, d->size - d->at, NULL)
					: NULL;
		if (m) {
			d->at += NLMSG_ALIGN(m->nlmsg_len);
			if (!policy_denied_take(m, out))
				continue;
			out->is_news = policy_denied_is_news(d, now_ms, out);
			return 1;
		}
		struct err why;
		int r = netlink_receive(d->fd, d->buf, DATAGRAM, &why);
		if (r == -EAGAIN)
			return 0;
		if (r < 0 && r != -ENOBUFS) /* some were lost, which is what a limit does, too */
			return err_set(e, -r, "cannot read of denied packets: %s", why.text);
		d->at = 0;
		d->size = r < 0 ? 0 : (size_t)r;
	}
}

static void policy_denied_end(
	const char *who, const struct addr *a, uint16_t port, struct text *out)
{
	text_add(out, "%s%s%s", who, *who ? " " : "", ADDR_STRING(a));
	if (port)
		text_add(out, ":%u", port);
}

static void policy_denied_protocol(const struct policy_denied_packet *p, struct text *out)
{
	static const struct {
		uint8_t proto;
		const char *name;
	} names[] = {{IPPROTO_TCP, "TCP"}, {IPPROTO_UDP, "UDP"}, {IPPROTO_SCTP, "SCTP"},
		{IPPROTO_ICMP, "ICMP"}, {IPPROTO_ICMPV6, "ICMPv6"}};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].proto == p->proto) {
			text_add(out, " %s", names[i].name);
			if (p->icmp_type >= 0)
				text_add(out, " type %d", p->icmp_type);
			return;
		}
	text_add(out, " protocol %u", p->proto);
}

void policy_denied_describe(const struct policy_denied_packet *p, const char *const who[2],
	const char *why, struct text *out)
{
	const char *counter = strchr(p->prefix, ' ');
	counter = counter ? counter + 1 : "";
	size_t way = strcspn(p->prefix, " ");
	bool is_pending = strcmp(counter, "pending") == 0;
	text_add(out, "%s %.*s: ", *counter == 'l' ? "logged" : "denied", (int)way, p->prefix);
	policy_denied_end(who[0], &p->source, p->sport, out);
	text_add(out, " -> ");
	policy_denied_end(who[1], &p->destination, p->dport, out);
	policy_denied_protocol(p, out);
	if (is_pending)
		text_add(out, ", the pod's policies are not known yet");
	else if (*why)
		text_add(out, ", %s %s", *counter == 'd' ? "isolated by" : "by", why);
	if (p->before)
		text_add(out, " (and %llu more since it was last told)",
			(unsigned long long)p->before);
}
