/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order in which an encapsulation changes without a lost packet, on every node by itself: the new
 * device, its address into our Node document, the next hops of those nodes whose documents say the
 * same; and last, when everybody has had the time for that, the old device goes.
 *
 * The address of an end is a record of the node state like a pod's, so no pod can get it.
 */
#include "agent/ends.h"

#include <errno.h>
#include <sys/socket.h>

#include "agent/agent_impl.h"

/* One end that the node has, or shall have. */
struct end {
	const char *what; /* in the node state */
	uint8_t family;
	bool wanted;
	struct addr *held;
	int64_t *idle_ms;
};

uint32_t ends_count(const struct desired_self *self, uint8_t family)
{
	if (family == AF_INET6)
		return self->vxlan6.family != 0;
	return (self->vxlan4.family != 0) + (self->ipip4.family != 0);
}

static void look_at(struct agent *a, int64_t ms)
{
	a->slow_at = a->slow_at < ms ? a->slow_at : ms;
}

/* true: what is held changed. */
static bool take(struct agent *a, const struct end *end)
{
	struct addr had = *end->held;
	struct addr got;
	struct err e;
	*end->idle_ms = 0;
	int r = node_states_tunnel(&a->states, end->what, end->family, &got, &e);
	if (r >= 0)
		*end->held = got;
	else if (r != -EAGAIN)
		problems_add(
			&a->problems, "no address for the device of %s: %s", end->what, e.text);
	return !addr_equal(&had, end->held);
}

/* The same. An earlier agent may have left a record. */
static bool give_back(struct agent *a, const struct end *end, bool at_once)
{
	int64_t now = agent_now_ms();
	bool had = end->held->family != 0;
	if (had && !*end->idle_ms)
		*end->idle_ms = now;
	if (had && !at_once && now - *end->idle_ms < ENDS_LINGER_MS) {
		look_at(a, *end->idle_ms + ENDS_LINGER_MS);
		return false;
	}
	if (had || !a->has_passed)
		node_states_release_tunnel(&a->states, end->what, end->family);
	*end->held = (struct addr){0};
	*end->idle_ms = 0;
	return had;
}

/* A node that takes no pods gives its tunnel addresses back with its last pod. But one that was an
 * exit a moment ago is still sent packets, until everybody has heard of its withdrawal. */
static bool is_left(struct ends *x, struct agent *a)
{
	uint64_t used = 0;
	int64_t now = agent_now_ms();
	if (a->exits.n_own)
		x->exit_until_ms = now + ENDS_LINGER_MS;
	if (now < x->exit_until_ms) {
		look_at(a, x->exit_until_ms);
		return false;
	}
	const struct replica_node *n = replica_node(&a->replica, a->conf.node);
	for (size_t i = 0; i < a->states.n_dirs; i++)
		used += a->states.dirs[i].used;
	return n && n->spec.drain &&
	       used <= ends_count(&a->self, AF_INET) + ends_count(&a->self, AF_INET6);
}

/* true: the former way is another now. */
static bool note_ways(struct ends *x, struct agent *a, const struct desired *d)
{
	int64_t now = agent_now_ms();
	bool changed = false;
	if (x->former_until_ms && now >= x->former_until_ms) {
		x->former_until_ms = 0;
		a->self.former[0] = a->self.former[1] = WAY_NONE;
		changed = true;
	}
	for (size_t i = 0; i < 2; i++) {
		enum desired_way was = x->way[i];
		x->way[i] = d->way[i];
		if (was == WAY_NONE || was == d->way[i] || d->way[i] == WAY_NONE)
			continue;
		a->self.former[i] = was;
		x->former_until_ms = now + ENDS_LINGER_MS;
		look_at(a, x->former_until_ms);
		changed = true;
	}
	return changed;
}

bool ends_hold(struct ends *x, struct agent *a, const struct desired *d)
{
	bool left = is_left(x, a);
	bool changed = note_ways(x, a, d);
	const struct end ends[] = {
		{"vxlan", AF_INET, d->wants_vxlan4, &a->self.vxlan4, &x->idle_ms[0]},
		{"vxlan", AF_INET6, d->wants_vxlan6, &a->self.vxlan6, &x->idle_ms[1]},
		{"ipip", AF_INET, d->wants_ipip, &a->self.ipip4, &x->idle_ms[2]},
	};
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		changed |=
			ends[i].wanted && !left ? take(a, &ends[i]) : give_back(a, &ends[i], left);
	return changed;
}
