/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order in which an encapsulation changes without a lost packet, on every node by itself: the new
 * device, its address into our Node document, the next hops of those nodes whose documents say the
 * same; and last, when everybody has had the time for that, the old device goes.
 *
 * A tunnel's address is a record of the node state like a pod's, so no pod can get it. It is held
 * until the record is gone: an address that was forgotten earlier could be given to nobody.
 */
#include "agent/tunnel_addresses.h"

#include <errno.h>
#include <sys/socket.h>

#define RETRY_MS 1000 /* a node state that refuses is asked again after so long */

static const struct {
	const char *what; /* in the node state */
	uint8_t family;
} tunnels[TUNNELS] = {
	[TUNNEL_VXLAN4] = {"vxlan", AF_INET},
	[TUNNEL_VXLAN6] = {"vxlan", AF_INET6},
	[TUNNEL_IPIP] = {"ipip", AF_INET},
};

uint32_t tunnel_addresses_count(const struct tunnel_addresses *t, uint8_t family)
{
	uint32_t n = 0;
	for (size_t i = 0; i < TUNNELS; i++)
		n += t->held[i].family == family;
	return n;
}

static void call_again(int64_t *again_ms, int64_t at)
{
	*again_ms = *again_ms < at ? *again_ms : at;
}

static bool tunnel_address_take(
	struct tunnel_addresses *t, size_t i, struct node_states *s, struct problems *problems)
{
	struct addr got;
	struct err e;
	t->idle_ms[i] = 0;
	t->is_released[i] = false;
	int r = node_states_tunnel(s, tunnels[i].what, tunnels[i].family, &got, &e);
	if (r < 0) {
		if (r != -EAGAIN)
			problems_add_as(problems, tunnels[i].what,
				"no address for the device of %s: %s", tunnels[i].what, e.text);
		return false;
	}
	bool changed = !addr_equal(&got, &t->held[i]);
	t->held[i] = got;
	return changed;
}

/* The record goes first, then the address is forgotten. */
static bool tunnel_address_release(struct tunnel_addresses *t, size_t i, struct node_states *s,
	const struct tunnel_addresses_input *in, int64_t *again_ms, struct problems *problems)
{
	struct err e;
	bool had = t->held[i].family != 0;
	if (node_states_release_tunnel(s, tunnels[i].what, tunnels[i].family, &e) < 0) {
		problems_add_as(problems, tunnels[i].what,
			"the address of the device of %s cannot be released: %s", tunnels[i].what,
			e.text);
		call_again(again_ms, in->now_ms + RETRY_MS);
		return false;
	}
	t->is_released[i] = true;
	t->held[i] = (struct addr){0};
	t->idle_ms[i] = 0;
	return had;
}

/* Whether a tunnel that nobody asks for has stood long enough. An earlier agent may have left the
 * record of one that we do not hold. */
static bool is_over(struct tunnel_addresses *t, size_t i, const struct tunnel_addresses_input *in,
	int64_t *again_ms)
{
	if (!t->held[i].family)
		return !t->is_released[i];
	if (!t->idle_ms[i])
		t->idle_ms[i] = in->now_ms;
	int64_t until = t->idle_ms[i] + TUNNEL_LINGER_MS;
	if (in->now_ms < until)
		call_again(again_ms, until);
	return in->now_ms >= until;
}

/* A node that takes no pods gives its tunnel addresses back with its last pod. But one that was an
 * exit a moment ago is still sent packets, until everybody has heard of its withdrawal. */
static bool is_left(struct tunnel_addresses *t, const struct tunnel_addresses_input *in,
	const struct node_states *s, int64_t *again_ms)
{
	uint64_t used = 0;
	if (in->is_exit)
		t->exit_until_ms = in->now_ms + TUNNEL_LINGER_MS;
	if (in->now_ms < t->exit_until_ms) {
		call_again(again_ms, t->exit_until_ms);
		return false;
	}
	for (size_t i = 0; i < s->n_dirs; i++)
		used += s->dirs[i].used;
	return in->drain &&
	       used <= tunnel_addresses_count(t, AF_INET) + tunnel_addresses_count(t, AF_INET6);
}

/* true: the previous encapsulation is another now. */
static bool note_encapsulation(
	struct tunnel_addresses *t, const struct tunnel_addresses_input *in, int64_t *again_ms)
{
	bool changed = false;
	if (t->previous_until_ms && in->now_ms >= t->previous_until_ms) {
		t->previous_until_ms = 0;
		t->previous[IPV4] = t->previous[IPV6] = ENCAPSULATION_UNSET;
		changed = true;
	}
	for (enum family i = IPV4; i < FAMILIES; i++) {
		enum encapsulation was = t->current[i];
		enum encapsulation is = t->current[i] = in->desired->encapsulation[i];
		if (was == ENCAPSULATION_UNSET || was == is || is == ENCAPSULATION_UNSET)
			continue;
		t->previous[i] = was;
		t->previous_until_ms = in->now_ms + TUNNEL_LINGER_MS;
		changed = true;
	}
	if (t->previous_until_ms)
		call_again(again_ms, t->previous_until_ms);
	return changed;
}

bool tunnel_addresses_sync(struct tunnel_addresses *t, const struct tunnel_addresses_input *in,
	struct node_states *s, int64_t *again_ms, struct problems *problems)
{
	const bool wanted[TUNNELS] = {
		[TUNNEL_VXLAN4] = in->desired->wants_vxlan[IPV4],
		[TUNNEL_VXLAN6] = in->desired->wants_vxlan[IPV6],
		[TUNNEL_IPIP] = in->desired->wants_ipip,
	};
	bool left = is_left(t, in, s, again_ms);
	bool changed = note_encapsulation(t, in, again_ms);
	for (size_t i = 0; i < TUNNELS; i++) {
		if (wanted[i] && !left)
			changed |= tunnel_address_take(t, i, s, problems);
		else if ((left && t->held[i].family) || is_over(t, i, in, again_ms))
			changed |= tunnel_address_release(t, i, s, in, again_ms, problems);
	}
	return changed;
}
