/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel hands the table out as one block of entries behind each other, as iptables put it
 * there (linux/netfilter_ipv4/ip_tables.h and its IPv6 twin). A built-in chain goes from
 * its hook entry to its policy, an unconditional rule at the underflow offset; a jump is an offset in
 * the block. IPv4 and IPv6 differ in the head of an entry alone, so both are read into one view.
 *
 * The same two packets as in agent/filter/firewall.c are walked through FORWARD: one from a pod, one to
 * a pod. A rule with any match but a comment, or any condition but the address, is passed over.
 * Offsets are the kernel's own and yet checked: a walk never leaves the block, and ends.
 */
#include "agent/filter/xtables.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include "agent/filter/firewall.h"
#include "lib/file.h"
#include "lib/mem.h"

#define MAX_BYTES (16 << 20)
#define MAX_DEPTH 16
#define MAX_STEPS 65536
#define DROP (-NF_DROP - 1)
#define ACCEPT (-NF_ACCEPT - 1)

struct blob {
	char *bytes;
	size_t size;
	size_t forward, policy; /* offsets: first rule of FORWARD, and the last */
	const struct cidr *pool;
	bool from; /* a packet from a pod; else to one */
	size_t steps;
};

struct view {
	const uint8_t *addr, *mask; /* that must be the pool's side */
	bool plain;		    /* no other condition in the head */
	bool is_goto;
	size_t matches, target, next; /* offsets from the entry */
};

enum verdict { VERDICT_NONE, VERDICT_ACCEPT, VERDICT_DROP };

static bool is_zero(const void *p, size_t n)
{
	const uint8_t *b = p;
	while (n && !b[n - 1])
		n--;
	return n == 0;
}

static struct view view4(const struct ipt_entry *x, bool from)
{
	const struct ipt_ip *ip = &x->ip;
	return (struct view){
		.addr = (const uint8_t *)(from ? &ip->src : &ip->dst),
		.mask = (const uint8_t *)(from ? &ip->smsk : &ip->dmsk),
		.plain = is_zero(from ? &ip->dmsk : &ip->smsk, sizeof(ip->dmsk)) &&
			 is_zero(ip->iniface_mask, IFNAMSIZ) &&
			 is_zero(ip->outiface_mask, IFNAMSIZ) && !ip->proto && !ip->invflags &&
			 !(ip->flags & ~IPT_F_GOTO),
		.is_goto = ip->flags & IPT_F_GOTO,
		.matches = sizeof(*x),
		.target = x->target_offset,
		.next = x->next_offset,
	};
}

static struct view view6(const struct ip6t_entry *x, bool from)
{
	const struct ip6t_ip6 *ip = &x->ipv6;
	return (struct view){
		.addr = (const uint8_t *)(from ? &ip->src : &ip->dst),
		.mask = (const uint8_t *)(from ? &ip->smsk : &ip->dmsk),
		.plain = is_zero(from ? &ip->dmsk : &ip->smsk, sizeof(ip->dmsk)) &&
			 is_zero(ip->iniface_mask, IFNAMSIZ) &&
			 is_zero(ip->outiface_mask, IFNAMSIZ) && !ip->invflags &&
			 !(ip->flags & ~IP6T_F_GOTO),
		.is_goto = ip->flags & IP6T_F_GOTO,
		.matches = sizeof(*x),
		.target = x->target_offset,
		.next = x->next_offset,
	};
}

/* Reads the entry at an offset; false when it is not inside the block. */
static bool read_entry(const struct blob *b, size_t at, struct view *out)
{
	bool v4 = b->pool->addr.family == AF_INET;
	size_t head = v4 ? sizeof(struct ipt_entry) : sizeof(struct ip6t_entry);
	if (at > b->size || b->size - at < head)
		return false;
	const void *entry = b->bytes + at;
	*out = v4 ? view4(entry, b->from) : view6(entry, b->from);
	return out->target >= head && out->next <= b->size - at &&
	       out->target + sizeof(struct xt_standard_target) <= out->next;
}

/* Whether every packet of the pool, in this direction, fits the entry. */
static bool fits(const struct blob *b, size_t at, const struct view *v)
{
	const struct addr *pool = &b->pool->addr;
	size_t bits = 0;
	for (size_t i = 0; i < addr_size(pool); i++) {
		if ((pool->bytes[i] & v->mask[i]) != v->addr[i])
			return false;
		for (uint8_t m = v->mask[i]; m; m = (uint8_t)(m & (m - 1)))
			bits++;
	}
	if (!v->plain || bits > b->pool->len)
		return false;
	for (size_t m = v->matches; m < v->target;) {
		const struct xt_entry_match *match = (const void *)(b->bytes + at + m);
		if (v->target - m < sizeof(*match) || match->u.match_size < sizeof(*match) ||
			strcmp(match->u.user.name, "comment") != 0)
			return false;
		m += match->u.match_size;
	}
	return true;
}

/* NOLINTNEXTLINE(misc-no-recursion): chains nest; MAX_DEPTH bounds it */
static enum verdict walk(struct blob *b, size_t at, int depth)
{
	struct view v;
	assert(b->bytes);
	for (; depth < MAX_DEPTH && b->steps++ < MAX_STEPS && read_entry(b, at, &v); at += v.next) {
		if (!fits(b, at, &v))
			continue;
		const struct xt_standard_target *t = (const void *)(b->bytes + at + v.target);
		if (strcmp(t->target.u.user.name, "REJECT") == 0)
			return VERDICT_DROP;
		if (*t->target.u.user.name)
			continue;
		if (t->verdict == DROP || t->verdict == ACCEPT)
			return t->verdict == DROP ? VERDICT_DROP : VERDICT_ACCEPT;
		if (t->verdict < 0)
			return VERDICT_NONE; /* RETURN, or the end of a chain */
		if ((size_t)t->verdict == at + v.next)
			continue; /* no target */
		enum verdict found = walk(b, (size_t)t->verdict, depth + 1);
		if (found != VERDICT_NONE || v.is_goto)
			return found;
	}
	return VERDICT_NONE;
}

/* A chain that was gone to, not jumped to, ends with the policy. */
static bool is_dropped(struct blob *b)
{
	enum verdict v = walk(b, b->forward, 0);
	if (v == VERDICT_NONE)
		v = walk(b, b->policy, 0);
	return v == VERDICT_DROP;
}

/* Whether the table exists; asking the kernel for it would make it. */
static bool has_filter(const char *path)
{
	CLEANUP_FREE char *names = NULL;
	struct err ignored;
	size_t len = 0;
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || file_read_fd(fd, 4096, &names, &len, &ignored) < 0)
		return false;
	return strstr(names, "filter\n") != NULL;
}

static int refused(struct err *e)
{
	return err_set(
		e, errno, "cannot read the table filter of legacy iptables: %s", strerror(errno));
}

/* The entries, on the heap, and where FORWARD is. 0: the table changed meanwhile. */
static int read_table(int fd, struct blob *b, struct err *e)
{
	bool v4 = b->pool->addr.family == AF_INET;
	int level = v4 ? SOL_IP : SOL_IPV6;
	struct ipt_getinfo info = {.name = "filter"}; /* the same for IPv6 */
	socklen_t len = sizeof(info);
	if (getsockopt(fd, level, v4 ? IPT_SO_GET_INFO : IP6T_SO_GET_INFO, &info, &len) < 0)
		return refused(e);
	if (info.size > MAX_BYTES)
		return err_set(e, EFBIG,
			"the table filter of legacy iptables is longer than %d MiB",
			MAX_BYTES >> 20);
	size_t head = v4 ? offsetof(struct ipt_get_entries, entrytable)
			 : offsetof(struct ip6t_get_entries, entrytable);
	CLEANUP_FREE struct ipt_get_entries *all = mem_new(1, head + info.size);
	memcpy(all->name, info.name, sizeof(all->name));
	all->size = info.size;
	len = (socklen_t)(head + info.size);
	if (getsockopt(fd, level, v4 ? IPT_SO_GET_ENTRIES : IP6T_SO_GET_ENTRIES, all, &len) < 0)
		return errno == EAGAIN ? 0 : refused(e);
	b->bytes = mem_new(1, info.size);
	memcpy(b->bytes, (const char *)all + head, info.size);
	b->size = info.size;
	b->forward = info.hook_entry[NF_INET_FORWARD];
	b->policy = info.underflow[NF_INET_FORWARD];
	return 1;
}

/* 1: packets from the pool, or to it, are dropped. */
static int drops(const struct cidr *pool, struct err *e)
{
	bool v4 = pool->addr.family == AF_INET;
	if (!has_filter(v4 ? "/proc/net/ip_tables_names" : "/proc/net/ip6_tables_names"))
		return 0;
	CLEANUP_FD int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (fd < 0)
		return refused(e);
	struct blob b = {.pool = pool};
	int r = read_table(fd, &b, e);
	bool dropped = false;
	for (int from = 0; from < 2 && r > 0; from++) {
		b.from = from;
		b.steps = 0;
		dropped = dropped || is_dropped(&b);
	}
	free(b.bytes);
	return r < 0 ? r : dropped;
}

int xtables_check(const struct cidr *pools, size_t n_pools, char out[256], struct err *e)
{
	CLEANUP_FREE struct cidr *dropped = mem_new(n_pools + 1, sizeof(*dropped));
	size_t n = 0;
	for (size_t i = 0; i < n_pools; i++) {
		if (n && pools[i].addr.family != dropped->addr.family)
			continue;
		int r = drops(&pools[i], e);
		if (r < 0)
			return r;
		if (r)
			dropped[n++] = pools[i];
	}
	if (!n)
		return 0;
	const struct firewall_place place = {
		.family = dropped->addr.family == AF_INET ? "ip" : "ip6",
		.table = "filter",
		.chain = "FORWARD",
		.legacy = true,
	};
	firewall_sentence(&place, dropped, n, out);
	return 1;
}
