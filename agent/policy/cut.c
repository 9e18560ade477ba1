/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two sockets: one on which the kernel lists all entries, datagram by datagram, as it is read; one for the changes,
 * which must not wait for the list's end. Changes are sent without asking for acknowledgements: the kernel works
 * through them while they are sent, and tells of refusals alone.
 *
 * An entry is judged as the writer's table judges first packets: what the source sends, where it is a pod of this
 * node, and what the destination is sent, where that is. The destination is the one behind the translation, by
 * which answers come. Only a pod that the world knows is judged; entries of others have no say here and lose our
 * bit, as their addresses may have become another's.
 *
 * An entry that belongs to another connection (IPS_EXPECTED) was let in for that one's sake, and is left alone.
 */
#include "agent/policy/cut.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conntrack_entry.h"
#include "lib/mem.h"
#include "lib/netlink.h"
#include "lib/search.h"
#include "policy/judge.h"

#define DATAGRAM 32768
#define CHANGES 64 /* sent at once */
#define PART 512   /* entries judged in one step */

struct policy_cut {
	uint32_t mark;
	int list, change;     /* sockets; list is -1 while no look is under way */
	bool begins, forgive; /* a look that is to begin, or under way */
	unsigned int seq;
	char *buf; /* the last datagram of the list */
	size_t size, at;
	char *changes; /* messages that wait to be sent */
	size_t changes_size, n_changes;
	struct policy_cut_numbers numbers;
	struct policy_cut_staged staged[POLICY_CUT_STAGED];
	size_t n_staged;
};

/* Which pods addresses are of, for one step. */
struct policy_owned_addr {
	struct addr addr;
	const struct policy_local *local;
};
struct policy_cut_index {
	struct policy_owned_addr *v;
	size_t n;
};

int policy_cut_open(uint32_t mark, struct policy_cut **out, struct err *e)
{
	struct policy_cut *c = mem_new(1, sizeof(*c));
	c->mark = mark;
	c->list = c->change = -1;
	int r = netlink_open(NETLINK_NETFILTER, &c->change, e);
	if (r < 0) {
		policy_cut_close(c);
		return r;
	}
	(void)fcntl(c->change, F_SETFL, O_NONBLOCK);
	c->buf = mem_new_raw(DATAGRAM);
	c->changes = mem_new_raw((size_t)CHANGES * CONNTRACK_MESSAGE);
	*out = c;
	return 0;
}

static void policy_cut_stop(struct policy_cut *c)
{
	mem_cleanup_fd(&c->list);
	c->list = -1;
	c->size = c->at = 0;
	c->changes_size = c->n_changes = 0;
}

void policy_cut_close(struct policy_cut *c)
{
	if (!c)
		return;
	policy_cut_stop(c);
	mem_cleanup_fd(&c->change);
	free(c->buf);
	free(c->changes);
	free(c);
}

struct policy_cut_numbers policy_cut_numbers(const struct policy_cut *c)
{
	return c->numbers;
}

size_t policy_cut_staged(const struct policy_cut *c, const struct policy_cut_staged **out)
{
	*out = c->staged;
	return c->n_staged;
}

void policy_cut_begin(struct policy_cut *c, bool forgive)
{
	policy_cut_stop(c);
	c->begins = true;
	c->forgive = forgive;
}

static int policy_cut_ask(struct policy_cut *c, struct err *e)
{
	_Alignas(NLMSG_ALIGNTO) char question[CONNTRACK_MESSAGE];
	c->begins = false;
	int r = netlink_open(NETLINK_NETFILTER, &c->list, e);
	if (r < 0)
		return r;
	(void)fcntl(c->list, F_SETFL, O_NONBLOCK);
	struct nlmsghdr *m =
		conntrack_message(question, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC, ++c->seq);
	r = netlink_send(c->list, m, m->nlmsg_len, e);
	if (r < 0)
		policy_cut_stop(c);
	c->numbers.looks += r >= 0;
	return r;
}

/*
 * Judging.
 */

static int policy_compare_owned(const void *a, const void *b)
{
	return addr_compare(&((const struct policy_owned_addr *)a)->addr,
		&((const struct policy_owned_addr *)b)->addr);
}

static int policy_compare_owned_addr(const void *element, const void *key)
{
	return addr_compare(&((const struct policy_owned_addr *)element)->addr, key);
}

static struct policy_cut_index policy_cut_index(const struct policy_cut_view *v)
{
	struct policy_cut_index x = {
		.v = mem_new(v->n_locals * POLICY_ADDRESSES + 1, sizeof(*x.v))};
	for (size_t i = 0; i < v->n_locals; i++)
		for (size_t j = 0; j < v->locals[i].n_addrs; j++)
			x.v[x.n++] =
				(struct policy_owned_addr){v->locals[i].addrs[j], &v->locals[i]};
	if (x.n)
		qsort(x.v, x.n, sizeof(*x.v), policy_compare_owned);
	return x;
}

static const struct policy_pod *policy_cut_pod(
	const struct policy_cut_view *v, const struct policy_cut_index *x, const struct addr *a)
{
	const struct policy_owned_addr *o =
		search_find(x->v, x->n, sizeof(*x->v), a, policy_compare_owned_addr);
	return o ? policy_world_pod(v->world, o->local->namespace, o->local->name) : NULL;
}

static bool policy_cut_is_node(const struct policy_cut_view *v, const struct addr *a)
{
	for (size_t i = 0; i < v->n_node; i++)
		if (addr_equal(&v->node[i], a))
			return true;
	return false;
}

/* The connection as its pods' policies see it: by direction, the pod that is judged; NULL: none of this node. */
struct policy_cut_judged {
	struct policy_flow flow;
	const struct policy_pod *pods[POLICY_DIRECTIONS];
};

static struct policy_cut_judged policy_cut_judged(const struct policy_cut_view *v,
	const struct policy_cut_index *x, const struct conntrack_entry *entry)
{
	return (struct policy_cut_judged){
		.pods = {[POLICY_EGRESS] = policy_cut_pod(v, x, &entry->source),
			[POLICY_INGRESS] = policy_cut_pod(v, x, &entry->answers)},
		.flow = {.source = entry->source,
			.destination = entry->answers,
			.proto = entry->proto,
			.sport = entry->sport,
			.dport = entry->answers_port,
			.icmp_type = entry->icmp_type,
			.icmp_code = entry->icmp_code,
			.from_node = policy_cut_is_node(v, &entry->source),
			.to_node = policy_cut_is_node(v, &entry->answers)},
	};
}

static bool policy_cut_forbids(const struct policy_cut_view *v, const struct policy_cut_judged *j,
	enum policy_direction d, bool with_staged)
{
	struct policy_question q = {
		.flow = &j->flow, .direction = d, .pod = j->pods[d], .with_staged = with_staged};
	return q.pod && policy_judge(v->world, &q, NULL, NULL) == POLICY_DENY;
}

static bool policy_cut_wants(const struct policy_cut_view *v, const struct policy_cut_judged *j)
{
	return policy_cut_forbids(v, j, POLICY_EGRESS, false) ||
	       policy_cut_forbids(v, j, POLICY_INGRESS, false);
}

/* Of a connection that is allowed. */
static void policy_cut_stage(
	struct policy_cut *c, const struct policy_cut_view *v, const struct policy_cut_judged *j)
{
	for (int i = 0; i < POLICY_DIRECTIONS && c->n_staged < POLICY_CUT_STAGED; i++) {
		enum policy_direction d = (enum policy_direction)i;
		if (policy_cut_forbids(v, j, d, true))
			c->staged[c->n_staged++] = (struct policy_cut_staged){j->flow, d};
	}
}

/*
 * Changing.
 */

static int policy_cut_answers(struct policy_cut *c, struct err *e)
{
	_Alignas(NLMSG_ALIGNTO) char buf[DATAGRAM];
	for (;;) {
		struct err none;
		const struct nlmsghdr *reply;
		int r = netlink_receive(c->change, buf, sizeof(buf), &none);
		if (r == -EAGAIN)
			return 0;
		if (r < 0)
			return err_set(e, -r, "%s", none.text);
		NETLINK_EACH(reply, buf, (size_t)r)
		{
			int error = reply->nlmsg_type == NLMSG_ERROR ? netlink_error(reply) : 0;
			if (error && error != ENOENT) /* it ended meanwhile */
				return err_set(
					e, error, "cannot mark a connection: %s", strerror(error));
		}
	}
}

static int policy_cut_send(struct policy_cut *c, struct err *e)
{
	if (!c->n_changes)
		return 0;
	int r = netlink_send(c->change, c->changes, c->changes_size, e);
	c->n_changes = c->changes_size = 0;
	return r < 0 ? r : policy_cut_answers(c, e);
}

static int policy_cut_mark(
	struct policy_cut *c, const struct conntrack_entry *entry, bool cut, struct err *e)
{
	char *at = c->changes + c->changes_size;
	struct nlmsghdr *m = conntrack_message_about(at, IPCTNL_MSG_CT_NEW, 0, entry, ++c->seq);
	netlink_put_be32(m, CTA_MARK, cut ? c->mark : 0);
	netlink_put_be32(m, CTA_MARK_MASK, c->mark);
	c->changes_size += NLMSG_ALIGN(m->nlmsg_len);
	c->numbers.cut += cut;
	c->numbers.restored += !cut;
	return ++c->n_changes == CHANGES ? policy_cut_send(c, e) : 0;
}

static int policy_cut_look(struct policy_cut *c, const struct policy_cut_view *v,
	const struct policy_cut_index *x, const struct nlmsghdr *m, struct err *e)
{
	struct conntrack_entry entry;
	if (!conntrack_entry_read(m, &entry) || entry.expected)
		return 0;
	bool is_cut = entry.mark & c->mark;
	const struct policy_cut_judged judged = policy_cut_judged(v, x, &entry);
	bool denied = policy_cut_wants(v, &judged), wanted = !c->forgive && denied;
	c->numbers.seen++;
	if (v->stages && !denied)
		policy_cut_stage(c, v, &judged);
	return is_cut == wanted ? 0 : policy_cut_mark(c, &entry, wanted, e);
}

/* What is left of the datagram, PART entries of it. 0: the list has ended. */
static int policy_cut_take(struct policy_cut *c, const struct policy_cut_view *v,
	const struct policy_cut_index *x, size_t *left, struct err *e)
{
	while (c->at < c->size && *left) {
		const struct nlmsghdr *m = netlink_next(c->buf + c->at, c->size - c->at, NULL);
		c->at = m ? c->at + NLMSG_ALIGN(m->nlmsg_len) : c->size;
		if (!m)
			break;
		if (m->nlmsg_type == NLMSG_DONE)
			return 0;
		int error = m->nlmsg_type == NLMSG_ERROR ? netlink_error(m) : 0;
		int r = error ? err_set(e, error, "cannot list connections: %s", strerror(error))
			      : policy_cut_look(c, v, x, m, e);
		if (r < 0)
			return r;
		--*left;
	}
	return 1;
}

static int policy_cut_part(struct policy_cut *c, const struct policy_cut_view *v,
	const struct policy_cut_index *x, struct err *e)
{
	int r = 1;
	for (size_t left = PART; r > 0 && left;) {
		if (c->at >= c->size) {
			c->size = c->at = 0;
			struct err none;
			r = netlink_receive(c->list, c->buf, DATAGRAM, &none);
			if (r == -EAGAIN)
				return 1;
			if (r < 0)
				return err_set(e, -r, "cannot list connections: %s", none.text);
			c->size = (size_t)r;
		}
		r = policy_cut_take(c, v, x, &left, e);
	}
	return r;
}

int policy_cut_step(struct policy_cut *c, const struct policy_cut_view *v, struct err *e)
{
	c->n_staged = 0;
	int asked = c->begins ? policy_cut_ask(c, e) : 0;
	if (asked < 0 || c->list < 0)
		return asked;
	struct policy_cut_index x = policy_cut_index(v);
	int r = policy_cut_part(c, v, &x, e);
	free(x.v);
	int sent = r < 0 ? r : policy_cut_send(c, e);
	if (r > 0 && sent >= 0)
		return 1;
	policy_cut_stop(c);
	return sent;
}
