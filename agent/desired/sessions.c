/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BGP sessions that are down, judged: with whom, since when, why, and what mends it. A session is a
 * problem when it has been down for its hold time, by which BGP itself takes a neighbour for dead; at
 * once when BIRD cannot listen, as nothing comes of waiting. The sentence says what this end saw, as the
 * other end has its own: who sent a notification told it to the other, who received it was told.
 *
 * Each node has one problem for each neighbour that is gone, so they come last, and after some of them
 * the rest is one.
 *
 * A password that differs is no reason that BIRD could know: the kernel drops each segment without a
 * word. What shows it is a counter of the kernel's, at the end to which the other one connects.
 */
#include "agent/desired/base.h"

#include <string.h>

#include "lib/boot.h"
#include "lib/text.h"

#define SENTENCES 6 /* sessions with a problem of their own */
#define PROTOCOL_MS                                                                                \
	30000 /* other protocols of ours may be away so long, as for a new configuration */

/* One session that is down, and as it should be. */
struct session {
	const struct desired_work *g;
	const struct bird_session *seen;
	struct addr addr;
	unsigned int port, listen_port, hold_s;
	uint32_t as_number, local_as;
};

static bool is_reason(const struct session *c, const char *words)
{
	return strcmp(c->seen->reason, words) == 0;
}

/* What is the matter now, where the reason is over or there is none. */
static void add_phase(const struct session *c, struct text *t)
{
	switch (c->seen->phase) {
	case BIRD_WAITS:
		if (c->g->self->md5_drops)
			text_add(t, "segments with a wrong or no TCP MD5 signature come in: "
				    "the passwords differ");
		else
			text_add(t,
				"it has not connected to this node: is BIRD running there, "
				"do firewalls let TCP port %u through?",
				c->listen_port);
		break;
	case BIRD_CONNECTS:
		text_add(t,
			"its TCP port %u does not answer: BIRD or the machine is down, a "
			"firewall, or another password",
			c->port);
		break;
	case BIRD_SPEAKS:
		text_add(t,
			"TCP port %u there takes connections and speaks no BGP: is it "
			"BIRD's?",
			c->port);
		break;
	case BIRD_ENDED:
		text_add(t, "BIRD does not try: birdc enable %s", c->seen->name);
		break;
	}
}

static void add_here(const struct session *c, struct text *t)
{
	if (is_reason(c, "No listening socket"))
		text_add(t,
			"BIRD on this node cannot listen on TCP port %u: another program has "
			"it (ss -ltnp), stop that one",
			c->listen_port);
	else if (is_reason(c, "Kernel MD5 auth failed"))
		text_add(t, "this node's kernel refuses its password (TCP MD5)");
	else
		text_add(t, "BIRD on this node says \"%s\"", c->seen->reason);
}

static void add_socket(const struct session *c, struct text *t)
{
	if (is_reason(c, "Connection refused"))
		text_add(t,
			"nothing listens on TCP port %u there (Connection refused): is BIRD "
			"running?",
			c->port);
	else if (is_reason(c, "Connection reset by peer"))
		text_add(t, "the peer cuts the connection (Connection reset by peer): it does "
			    "not have this node in its configuration, or no BIRD listens there");
	else if (is_reason(c, "No route to host"))
		text_add(t, "this node does not reach the machine (No route to host)");
	else
		text_add(t, "the TCP connection of this end ended: %s", c->seen->reason);
}

static void add_notification(const struct session *c, struct text *t)
{
	bool received = c->seen->fault == BIRD_FAULT_RECEIVED;
	text_add(t, "%s sent \"%s\"", received ? "the peer" : "this node", c->seen->reason);
	if (is_reason(c, "Bad peer AS") && received)
		text_add(t, ": it expects another AS number of this node than %u", c->local_as);
	else if (is_reason(c, "Bad peer AS"))
		text_add(t, ": the peer has another AS number than %u", c->as_number);
	else if (is_reason(c, "Hold timer expired"))
		text_add(
			t, ": %s heard nothing for %u s", received ? "it" : "this node", c->hold_s);
}

/* Whether the reason is how it ended, and says nothing about why it does not begin again. */
static bool is_over(const struct session *c)
{
	static const char *const farewells[] = {"Hold timer expired", "Connection closed", "Cease",
		"Administrative shutdown", "Administrative reset", "Peer de-configured",
		"Other configuration change", "Connection rejected", "BFD session down",
		"Neighbor lost", "Link down", "Graceful restart", "No listening socket",
		"Connection collision resolution"};
	return TEXT_INDEX(c->seen->reason, farewells) >= 0 &&
	       (c->seen->phase == BIRD_CONNECTS || c->seen->phase == BIRD_WAITS);
}

static void add_farewell(const struct session *c, struct text *t)
{
	static const char *const whose[BIRD_FAULTS] = {
		[BIRD_FAULT_RECEIVED] = "the peer's ", [BIRD_FAULT_SENT] = "this node's "};
	const char *who = whose[c->seen->fault];
	text_add(t, "ended by %s\"%s\"; ", who ? who : "", c->seen->reason);
}

static void add_reason(const struct session *c, struct text *t)
{
	switch (c->seen->fault) {
	case BIRD_FAULT_HERE:
		add_here(c, t);
		break;
	case BIRD_FAULT_SOCKET:
		add_socket(c, t);
		break;
	case BIRD_FAULT_RECEIVED:
	case BIRD_FAULT_SENT:
		add_notification(c, t);
		break;
	case BIRD_FAULT_LIMIT:
		text_add(t, "BIRD on this node ended it: %s", c->seen->reason);
		break;
	case BIRD_FAULT_NONE:
	case BIRD_FAULTS:
		add_phase(c, t);
		break;
	}
}

static const char *node_of(const struct session *c)
{
	const struct replica *r = c->g->r;
	for (size_t i = 0; i < r->n_nodes; i++)
		if (addr_equal(&r->nodes[i].spec.addr[family_of(c->addr.family)].addr, &c->addr))
			return r->nodes[i].name;
	return "";
}

static void add_down(const struct session *c, struct desired_down *out)
{
	struct text t = TEXT_ON(out->why);
	out->addr = c->addr;
	(void)text_copy(out->node, sizeof(out->node), node_of(c));
	out->since_s = c->seen->since_s;
	bird_sessions_words(c->seen, out->words, sizeof(out->words));
	*out->why = '\0';
	if (is_over(c)) {
		add_farewell(c, &t);
		add_phase(c, &t);
	} else {
		add_reason(c, &t);
	}
}

/* Whether it is one by now; else again_ms says when. */
static bool is_problem(
	const struct desired_work *g, const struct bird_session *seen, int64_t due_ms)
{
	if (g->self->now_ms < due_ms && !bird_sessions_is_given_up(seen)) {
		if (due_ms < g->out->again_ms)
			g->out->again_ms = due_ms;
		return false;
	}
	return true;
}

/* n: how many problems of this kind there are already. */
static size_t add_session(struct session *c, const char *name, struct desired_down *down, size_t n)
{
	struct desired *d = c->g->out;
	c->seen = bird_sessions_find(c->g->self->sessions, c->g->self->n_sessions, name);
	if (!c->seen || c->seen->up)
		return n;
	struct desired_down *one = &down[d->n_down++];
	add_down(c, one);
	if (!is_problem(c->g, c->seen, c->seen->since_ms + INT64_C(1000) * c->hold_s))
		return n;
	if (n < SENTENCES)
		problems_add_as(&d->problems, name,
			"BGP session with %.63s%s%s%s down since %s: %s", one->node,
			*one->node ? " (" : "", ADDR_STRING(&one->addr), *one->node ? ")" : "",
			TIME_STRING(one->since_s), one->why);
	return n + 1;
}

/* What is no session: the kernel's side, static routes, pipes. */
static void add_protocols(const struct desired_work *g)
{
	for (size_t i = 0; i < g->self->n_sessions; i++) {
		const struct bird_session *s = &g->self->sessions[i];
		if (!s->bgp && !s->up && is_problem(g, s, s->since_ms + PROTOCOL_MS))
			problems_add(&g->out->problems,
				"BIRD's protocol %s is not up, so its routes are missing: birdc "
				"show protocols all %s",
				s->name, s->name);
	}
}

void desired_sessions(struct desired_work *g)
{
	const struct bird_want *w = &g->out->bird;
	struct desired_down *down =
		desired_memory(g->out, w->n_peers + w->exits.n_peers, sizeof(*down));
	char name[BIRD_PEER_NAME];
	size_t n = 0;
	g->out->again_ms = INT64_MAX;
	g->out->down = down;
	for (size_t i = 0; i < w->n_peers; i++) {
		const struct bird_peer *p = &w->peers[i];
		struct session c = {.g = g,
			.addr = p->addr,
			.port = bird_peer_port(p),
			.listen_port = bird_listen_port(w),
			.hold_s = 3 * bird_peer_keepalive_s(p),
			.as_number = p->as_number,
			.local_as = p->local_as};
		n = add_session(&c, bird_peer_name(p, name), down, n);
	}
	for (size_t i = 0; i < w->exits.n_peers; i++) {
		const struct bird_exit_peer *p = &w->exits.peers[i];
		struct session c = {.g = g,
			.addr = p->addr,
			.port = w->exits.port,
			.listen_port = w->exits.port,
			.hold_s = 3 * BIRD_MESH_KEEPALIVE_S,
			.as_number = w->exits.as_number,
			.local_as = w->exits.as_number};
		n = add_session(&c, bird_exit_name(p, name), down, n);
	}
	add_protocols(g);
	if (n > SENTENCES)
		problems_add(&g->out->problems,
			"and %zu more BGP sessions are down: roostctl status shows them",
			n - SENTENCES);
}
