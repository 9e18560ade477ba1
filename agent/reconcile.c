/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One reconciliation: look at everything, compute what shall be, make it so. The order within a
 * reconciliation keeps each moment safe: the node state learns of pools before of blocks; a block
 * is in the node state before it is announced; a block that goes back is no longer given from
 * before its route is withdrawn. Whatever could not be done is a problem with a sentence, and the
 * rest goes on.
 *
 * Until both lists of the store are here, and this node's membership is, nothing is made: what
 * an earlier agent made stays as it is, and pods start from the node state. The same holds while the
 * store lacks what it had before.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/agent_impl.h"
#include "agent/bird/config.h"
#include "agent/kernel/ipip.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"

#define NODE_WRITE_MS 5000
#define LOOK_AGAIN_MS                                                                              \
	1000 /* at a store that lost documents, at Kubernetes that has not answered yet */

/* A document that cannot be read says nothing against what was so; one that is gone does not either, as long as
 * nobody else has one: what is in use here is claimed again meanwhile. */
static bool is_announced(const struct agent *a, const struct cidr *block)
{
	const struct replica_block *b = replica_block(&a->replica, block);
	const struct loan *l = replica_loan(&a->replica, block, a->conf.node);
	if (l)
		return l->state == LOAN_USED;
	if (!b || (b->state == BLOCK_PENDING && strcmp(b->node, a->conf.node) == 0))
		return cidr_is_among(a->self.announced, a->self.n_announced, block);
	return !b->node || (b->state == BLOCK_OWNED && strcmp(b->node, a->conf.node) == 0);
}

/* Blocks that BIRD hears of, and those that only keep their blackhole. */
static void list_blocks(struct agent *a)
{
	const struct node_states *s = &a->states;
	struct cidr *announced = mem_new(s->n_blocks + 1, sizeof(*announced));
	struct cidr *kept = mem_new(s->n_blocks + s->n_embedded + 1, sizeof(*kept));
	size_t n_announced = 0;
	size_t n_kept = 0;
	for (size_t i = 0; i < s->n_blocks; i++) {
		const struct node_block *b = &s->blocks[i].in;
		if (!b->draining && !b->disowned && is_announced(a, &b->cidr))
			announced[n_announced++] = b->cidr;
		else if (!b->disowned)
			kept[n_kept++] = b->cidr;
	}
	for (size_t i = 0; i < s->n_embedded; i++)
		kept[n_kept++] = s->embedded[i];
	free((void *)a->self.announced);
	free((void *)a->self.kept);
	a->self.announced = announced;
	a->self.n_announced = n_announced;
	a->self.kept = kept;
	a->self.n_kept = n_kept;
}

/* Making it so. */

static uint32_t max_blocks(const struct agent *a)
{
	const struct replica_item *i =
		replica_item(&a->replica, RESOURCE_IPAMCONFIGURATION, "default");
	return i ? i->resource.ipam.max_blocks : 0;
}

/* Draining blocks that BIRD has confirmed to run without. Each is left out of every text that is
 * made from then on, so the first of them that BIRD loads shows it, whatever BIRD did with those
 * between. */
static size_t list_withdrawn(const struct agent *a, struct cidr *out)
{
	const struct bird_status *bird = &a->bird_status;
	size_t n = 0;
	for (size_t i = 0; i < a->states.n_blocks && bird->up && !bird->recovering; i++) {
		const struct node_states_block *b = &a->states.blocks[i];
		if (b->left_out && bird->loaded >= b->left_out)
			out[n++] = b->in.cidr;
	}
	return n;
}

static bool is_cordoned(const struct agent *a)
{
	const struct own_node *node = kubernetes_node(a->kubernetes);
	return node && node->unschedulable;
}

/* After the blocks: an ADD for which there is none may get a loan. */
static int sync_loans(struct agent *a, const struct block_plan_input *blocks,
	struct block_plan *answers, const struct mirror *m)
{
	struct loan_plan plan;
	const struct loan_plan_input in = {
		.blocks = blocks,
		.reserved = a->lending.reserved,
		.n_reserved = a->lending.n_reserved,
		.saved = a->known.mirror.lent,
		.n_saved = *a->disk_trouble ? 0 : a->known.mirror.n_lent,
		.reading = &a->lending.reading,
		.lends = desired_lends(&a->conf, &a->replica),
	};
	loan_plan_make(&in, answers, &plan);
	problems_add_all(&a->problems, &plan.problems);
	int changed = apply_loan_plan(a, &plan, m);
	loan_plan_done(&plan);
	return changed;
}

static int sync_blocks(struct agent *a, const struct mirror *m)
{
	struct block_plan_ask asks[AGENT_WAITERS];
	CLEANUP_FREE struct cidr *withdrawn = mem_new(a->states.n_blocks + 1, sizeof(*withdrawn));
	const struct replica_node *node = replica_node(&a->replica, a->conf.node);
	struct block_plan_input in = {
		.node = a->conf.node,
		.replica = &a->replica,
		.mirror = m,
		.states = &a->states,
		.pending = &a->pending,
		.withdrawn = withdrawn,
		.n_withdrawn = list_withdrawn(a, withdrawn),
		.headroom = a->conf.headroom,
		.max_blocks = max_blocks(a),
		.lent = m->lent,
		.n_lent = m->n_lent,
		.knows_loans = a->lending.knows,
		.idle_s = a->conf.idle_block_s,
		.now_s = boot_now_ms() / 1000,
		.cordoned = is_cordoned(a),
		.drain = node && node->spec.drain,
		.asks = asks,
		.n_asks = a->n_waiters,
	};
	struct block_plan plan;
	for (size_t i = 0; i < a->n_waiters; i++)
		asks[i] = a->waiters[i].ask;
	block_plan_make(&in, &plan);
	memcpy(a->why_not, plan.why_not, sizeof(a->why_not));
	problems_add_all(&a->problems, &plan.problems);
	int changed = apply_block_plan(a, &plan, m);
	changed |= sync_loans(a, &in, &plan, m);
	for (size_t i = 0; i < a->n_waiters; i++)
		a->waiters[i].answer = plan.answers[i];
	block_plan_done(&plan);
	return changed;
}

static void sync_kernel(struct agent *a, const struct desired *d)
{
	struct err e;
	bool look = a->slow_at <= boot_now_ms();
	if (tunnel_filter_sync(a->tunnel_filter, &d->tunnel_filter, look, &e) < 0)
		problems_add_as(&a->problems, "tunnel filter",
			"the tunnels take packets of anybody: %s", e.text);
	(void)kernel_sync(a->kernel, &d->kernel, &a->problems);
	if (nat_sync(a->nat, &d->nat, look, &e) < 0)
		problems_add_as(&a->problems, "nat", "outgoing NAT: %s", e.text);
}

static void sync_bird(struct agent *a, const struct desired *d)
{
	char *text = bird_config_text(&d->bird);
	bird_expect(a->bird, d->missing);
	if (!a->bird_text || strcmp(a->bird_text, text) != 0) {
		free(a->bird_text);
		a->bird_text = text;
		a->generation = bird_want_text(a->bird, text);
	} else {
		free(text);
	}
	for (size_t i = 0; i < a->states.n_blocks; i++) {
		struct node_states_block *b = &a->states.blocks[i];
		if (b->in.draining && !b->left_out)
			b->left_out = a->generation;
	}
}

static void put_node(struct agent *a, const char *value)
{
	char key[STORE_KEY_MAX];
	if (a->node_commit || boot_now_ms() < a->node_retry_at)
		return;
	keys_resource(RESOURCE_NODE, a->conf.node, key);
	const struct store_write w = {
		.key = key, .value = value, .revision = a->replica.self_revision};
	a->node_commit = store_start_write(a->store, &w, NODE_WRITE_MS);
}

static void sync_node(struct agent *a, const struct desired *d)
{
	CLEANUP_FREE char *value = d->node ? json_text(d->node) : NULL;
	if (value)
		put_node(a, value);
}

/* What tunl0 sends comes from the address that the kernel takes; other nodes know this node's only.
 * */
static void check_source(struct agent *a, const struct desired *d)
{
	const struct addr *own = &a->self.addr[IPV4].addr;
	for (size_t i = 0; d->kernel.ipip.on && i < d->tunnel_filter.peers.n; i++) {
		const struct addr *peer = &d->tunnel_filter.peers.v[i];
		struct addr source;
		struct err ignored; /* a node without a route */
		char texts[3][ADDR_TEXT];
		if (peer->family != AF_INET || ipip_source(peer, &source, &ignored) < 0 ||
			addr_equal(&source, own))
			continue;
		addr_format(&source, texts[0]);
		addr_format(own, texts[1]);
		addr_format(peer, texts[2]);
		problems_add_as(&a->lasting, "ipip source",
			"IPIP packets to %s leave with the source %s, so it drops them, as this "
			"node "
			"is %s: make that the source (ip route change ... src %s), or set "
			"address.ipv4",
			texts[2], texts[0], texts[1], texts[1]);
		return;
	}
}

/* Looks that take long, or write to other people's tables: every half minute. */
static void check_slowly(struct agent *a, const struct desired *d)
{
	char text[256];
	struct err e;
	a->lasting = (struct problems){0};
	check_source(a, d);
	int r = firewall_check(a->nft, d->nat.pools, d->nat.n_pools, text, &e);
	if (r == 1)
		problems_add_as(&a->lasting, "forward chains", "%s", text);
	else if (r < 0)
		problems_add_as(&a->lasting, "forward chains",
			"cannot look at the FORWARD chains: %s", e.text);
}

/* When something moved, and every half minute, as nobody tells of other daemons' routes. */
static void look_at_poolroutes(struct agent *a, const struct desired *d, const struct facts *f)
{
	const struct mirror *m = &d->mirror;
	int64_t now = boot_now_ms();
	bool due = a->poolroutes.again_ms && a->poolroutes.again_ms <= now;
	if (!due && a->slow_at > now && !kernel_poolroutes_moved(a->kernel))
		return;
	struct poolroute_pool pools[POOL_MAX];
	for (size_t i = 0; i < m->n_pools; i++)
		pools[i] =
			(struct poolroute_pool){m->pools[i].pool.cidr, m->pools[i].pool.block_len};
	const struct poolroute_query q = {
		.pools = pools,
		.n_pools = m->n_pools,
		.own = d->kernel.blackholes,
		.n_own = d->kernel.n_blackholes,
	};
	struct poolroutes_input in = {.replica = &a->replica, .facts = f, .now_ms = now};
	CLEANUP_FREE struct poolroute *seen = NULL;
	struct err e;
	if (kernel_poolroutes(a->kernel, &q, &seen, &in.n_seen, &e) < 0) {
		a->poolroutes.problems = (struct problems){0};
		problems_add_as(&a->poolroutes.problems, "kernel routes",
			"the kernel's routes cannot be read: %s", e.text);
		return;
	}
	in.seen = seen;
	poolroutes_judge(&a->poolroutes, &in);
	if (a->poolroutes.again_ms)
		agent_want_reconcile(a, a->poolroutes.again_ms - now);
}

/* Documents last: they may be many. */
static void list_problems(struct agent *a, const struct desired *d)
{
	problems_add_all(&a->problems, &d->problems);
	problems_add_all(&a->problems, &a->lasting);
	problems_add_all(&a->problems, &a->poolroutes.problems);
	for (enum family f = IPV4; f < FAMILIES; f++)
		if (*a->why_not[f])
			problems_add_as(&a->problems, f == IPV4 ? "no IPv4 block" : "no IPv6 block",
				"no further block: %s", a->why_not[f]);
	for (size_t i = 0; i < a->replica.n_problems; i++)
		problems_add_as(&a->problems, a->replica.problems[i].key,
			"%s in the store is left out: %s", a->replica.problems[i].key,
			a->replica.problems[i].text);
}

/* What tunnels' addresses are to desired_make(). */
static void show_tunnels(struct agent *a)
{
	const struct tunnel_addresses *t = &a->tunnels;
	a->self.vxlan[IPV4] = t->held[TUNNEL_VXLAN4];
	a->self.vxlan[IPV6] = t->held[TUNNEL_VXLAN6];
	a->self.ipip = t->held[TUNNEL_IPIP];
	memcpy(a->self.previous, t->previous, sizeof(a->self.previous));
}

/* true: what is desired has to be made anew. */
static bool sync_tunnel_addresses(struct agent *a, const struct desired *d)
{
	const struct replica_node *node = replica_node(&a->replica, a->conf.node);
	int64_t again = INT64_MAX;
	const struct tunnel_addresses_input in = {
		.desired = d,
		.is_exit = a->exits.n_own > 0,
		.drain = node && node->spec.drain,
		.now_ms = boot_now_ms(),
	};
	bool changed = tunnel_addresses_sync(&a->tunnels, &in, &a->states, &again, &a->problems);
	if (again != INT64_MAX)
		agent_want_reconcile(a, again - in.now_ms);
	show_tunnels(a);
	return changed;
}

static void note_exits(struct agent *a, const struct desired *d)
{
	const struct bird_exits *b = &d->bird.exits;
	free(a->exits.own);
	a->exits = (struct agent_exits){
		.own = mem_new(b->n_own + 1, sizeof(*b->own)),
		.n_own = b->n_own,
		.used = b->used[0] || b->used[1],
		.table = b->table,
	};
	for (size_t i = 0; i < b->n_own; i++)
		a->exits.own[i] = b->own[i];
}

static void say_states(struct agent *a)
{
	for (size_t i = 0; i < a->states.n_dirs; i++) {
		const struct node_states_dir *d = &a->states.dirs[i];
		if (*d->trouble)
			problems_add_as(&a->problems, d->path,
				"the node state in %s cannot be read, and counts as it was: %s",
				d->path, d->trouble);
	}
}

/* A session becomes a problem without an event. */
static void note_peers_down(struct agent *a, const struct desired *d)
{
	peers_down_note(&a->peers_down, d);
	if (d->again_ms != INT64_MAX)
		agent_want_reconcile(a, d->again_ms - a->self.now_ms);
}

/* 1: a node state changed. */
static int sync_states(struct agent *a, const struct facts *f, struct desired *d)
{
	struct err e;
	int changed = node_states_put_mirror(&a->states, &d->mirror, &e);
	say_states(a);
	if (changed < 0) {
		problems_add_as(
			&a->problems, "node state", "the node state cannot be written: %s", e.text);
		return 0;
	}
	if (sync_tunnel_addresses(a, d)) {
		desired_done(d);
		desired_make(&a->conf, &a->replica, f, &a->self, d);
	}
	return changed | sync_blocks(a, &d->mirror);
}

static void make_first_pools(struct agent *a)
{
	int64_t again = first_pools_sync(
		&a->first_pools, a->conf.first_pools, &a->replica, a->store, &a->problems);
	if (again)
		agent_want_reconcile(a, again);
}

/* What the file said when this agent started counts until services are known. */
static void show_services(struct agent *a)
{
	const struct replica_item *bgp =
		replica_item(&a->replica, RESOURCE_BGPCONFIGURATION, "default");
	const struct resource_services *s = bgp ? &bgp->resource.bgp.services : NULL;
	kubernetes_want_services(a->kubernetes,
		s && (s->n[SERVICE_CLUSTER] || s->n[SERVICE_EXTERNAL] || s->n[SERVICE_BALANCER]));
	a->self.services = kubernetes_services(a->kubernetes);
	a->knows_services = a->knows_services || service_table_is_whole(a->self.services);
	a->self.services_before = bird_services_before(a->bird, &a->self.n_services_before);
	if (a->knows_services)
		a->self.n_services_before = 0;
}

static int sync_all(struct agent *a, const struct facts *f)
{
	struct desired d;
	struct cidr lent[MIRROR_LENT];
	list_blocks(a);
	a->self.lent = lent;
	a->self.n_lent = list_reserved(a, lent);
	a->self.learned = bird_learned_blocks(a->bird, &a->self.n_learned);
	show_services(a);
	peers_down_show(&a->peers_down, a->bird, &a->self);
	desired_make(&a->conf, &a->replica, f, &a->self, &d);
	int changed = sync_states(a, f, &d);
	sync_kernel(a, &d);
	sync_bird(a, &d);
	note_exits(a, &d);
	note_peers_down(a, &d);
	sync_node(a, &d);
	if (a->slow_at <= boot_now_ms())
		check_slowly(a, &d);
	look_at_poolroutes(a, &d, f);
	make_first_pools(a);
	list_problems(a, &d);
	desired_done(&d);
	a->self.lent = NULL;
	a->self.n_lent = 0;
	return changed;
}

static void note_troubles(struct agent *a)
{
	const char *trouble = store_trouble(a->store, NULL);
	a->had_trouble = trouble != NULL;
	if (trouble)
		problems_add_as(&a->problems, "store", "%s", trouble);
	else if (*a->commit_trouble)
		problems_add_as(&a->problems, "store",
			"the cluster store did not take the last change: %s", a->commit_trouble);
	if (*a->late)
		problems_add(&a->problems,
			"changed settings that count from the next start only: %s (systemctl "
			"restart roostd; pods do not notice)",
			a->late);
	if (*a->renamed)
		problems_add(&a->problems, "%s", a->renamed);
	if (*a->member.waits)
		problems_add_as(&a->problems, a->member.refused ? "refused" : "name", "%s",
			a->member.waits);
	if (*a->member.refusal)
		problems_add_as(&a->problems, "refused",
			"%.60s is another machine in the cluster store: this one takes no blocks "
			"until that is gone; it is removed when Kubernetes has this machine under "
			"the name, or by roostctl node remove %.60s --force --powered-off",
			a->conf.node, a->conf.node);
	if (*a->member.newcomer)
		problems_add_as(&a->problems, "newcomer", "%s", a->member.newcomer);
	bird_status(a->bird, &a->bird_status);
	if (*a->bird_status.trouble)
		problems_add_as(&a->problems, "bird", "%s", a->bird_status.trouble);
}

/* Somebody else acts under our name and gives addresses of the blocks that stand in our node states.
 * Pods that run stay as they are. */
static void give_nothing(struct agent *a)
{
	struct err e;
	if (!a->member.refused && !*a->member.refusal)
		return;
	int r = node_states_stop_giving(&a->states, &e);
	if (r < 0)
		problems_add_as(
			&a->problems, "node state", "the node state cannot be written: %s", e.text);
}

static bool has_lost_documents(struct agent *a)
{
	const struct store_loss_input in = {
		.node = a->conf.node,
		.url = a->conf.store.url,
		.replica = &a->replica,
		.states = &a->states,
		.had_pools = a->known.mirror.n_pools > 0,
		.is_start = !a->has_reconciled,
		.now_ms = boot_now_ms(),
	};
	bool holds = store_loss_judge(&a->loss, &in);
	if (*a->loss.why && holds)
		problems_add_as(&a->problems, "lost documents", "%s", a->loss.why);
	if (holds)
		agent_want_reconcile(a, LOOK_AGAIN_MS);
	return holds;
}

/* What the store must know of this node, while nothing else is done: others wait for it. */
static void restore_own(struct agent *a)
{
	const struct block_plan_input in = {
		.node = a->conf.node,
		.replica = &a->replica,
		.mirror = &a->known.mirror,
		.states = &a->states,
		.pending = &a->pending,
		.lent = a->known.mirror.lent,
		.n_lent = a->known.mirror.n_lent,
		.knows_loans = a->lending.knows,
		.only_restore = true,
	};
	struct block_plan plan;
	block_plan_make(&in, &plan);
	(void)apply_block_plan(a, &plan, &a->known.mirror);
	(void)sync_loans(a, &in, &plan, &a->known.mirror);
	block_plan_done(&plan);
	if (a->loss.self && !a->replica.self)
		put_node(a, a->loss.self);
}

int reconcile(struct agent *a)
{
	struct facts f = {0};
	struct err e;
	a->problems = (struct problems){0};
	note_troubles(a);
	problems_add_all(&a->problems, &a->pods.problems);
	problems_add_all(&a->problems, &a->policies.problems);
	kubernetes_list_problems(a->kubernetes, &a->problems);
	const struct own_node *node = kubernetes_node(a->kubernetes);
	int r = node_states_read(&a->states, boot_now_ms() / 1000, &e);
	if (r < 0)
		problems_add_as(
			&a->problems, "node state", "the node state cannot be read: %s", e.text);
	if (*a->member.waits || *a->member.refusal) {
		give_nothing(a);
		return 0;
	}
	if (r < 0 || !replica_is_whole(&a->replica) || !a->member.joined) {
		use_last_known(a);
		return 0;
	}
	if (!a->has_reconciled && kubernetes_is_awaited(a->kubernetes)) {
		agent_want_reconcile(a, LOOK_AGAIN_MS);
		return 0;
	}
	if (has_lost_documents(a)) {
		restore_own(a);
		return 0;
	}
	enforce_trust_store(a->policies.enforce);
	r = kernel_facts(a->kernel, &f, &e);
	if (r < 0) {
		problems_add_as(
			&a->problems, "kernel", "the kernel cannot be looked at: %s", e.text);
		return 0;
	}
	detect_addresses(a, &f);
	a->self.labels = node ? node->labels : NULL;
	a->self.ipip_is_foreign = kernel_ipip_is_foreign(a->kernel);
	int changed = sync_all(a, &f);
	facts_done(&f);
	a->has_reconciled = true;
	store_loss_note(&a->loss, &a->replica);
	return changed;
}
