/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events and times. agent_step() drains what is ready (store, kernel, BIRD, waiters), does what is
 * due, and says when it wants to be called again. Nothing here waits: the store and BIRD are spoken
 * to without blocking, and netlink and the node states answer at once. So an ADD gets its block,
 * and marked links are deleted, while etcd and BIRD are stopped.
 *
 * Times: a reconciliation follows an event of the store or a waiter at once, other events after a
 * moment, so that a burst of them is one reconciliation; free addresses are counted every second;
 * everything is looked at anew every half minute, whatever happened.
 */
#include "agent/agent.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent_impl.h"
#include "agent/naming.h"
#include "agent/sole.h"
#include "lib/boot.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"

#define POLL_MS 1000	 /* free addresses are counted */
#define SLOW_MS 30000	 /* everything is looked at anew */
#define PUBLISH_MS 500	 /* what is said of itself is looked at */
#define PODS_SOON_MS 200 /* a change of pods' wiring is looked at; it may be an ADD under way */
#define TABLES_MS 1000	 /* tables that others change are looked at so often at most */
#define REAP_MS 40	 /* marked links are gathered for so long */
#define REST_FROM_MS 20	 /* a reconciliation that took so long is followed by a rest */
#define CLOSE_MS 1000
#define ROUNDS 8 /* in a row, before events are looked at again */

/* Whatever the store does: pods that run need the file, too, to be stopped. */
static void sync_conflist(struct agent *a, int64_t now)
{
	bool look = a->slow_at <= now;
	int64_t again = conflist_sync(&a->conflist, !agent_lacks(a), look, now);
	problems_add_all(&a->problems, &a->conflist.problems);
	if (again)
		agent_want_reconcile(a, again);
}

/* Whether pods that start here now get a network and are reached. That a node drains, or that no block is left
 * for it, is no broken network. */
static void tell_kubernetes(struct agent *a)
{
	const struct bird_status *bird = &a->bird_status;
	bool has_address = a->self.addr[IPV4].addr.family || a->self.addr[IPV6].addr.family;
	bool is_ready = !agent_lacks(a) && conflist_is_fine(&a->conflist) && has_address &&
			a->self.n_announced > 0;
	const char *broken = "";
	if (a->has_reconciled && !bird->up)
		broken = *bird->trouble ? bird->trouble : "BIRD is down";
	else if (a->has_reconciled && !has_address)
		broken = "the node has no address that other nodes can send to";
	kubernetes_tell(a->kubernetes, is_ready, broken);
}

/* In a large cluster a reconciliation takes long and something happens all the time: four fifths of
 * the time stay for others. */
static int run_reconciliation(struct agent *a)
{
	int64_t began = boot_now_ms();
	a->reconcile_at = 0;
	int r = reconcile(a);
	sync_conflist(a, began);
	tell_kubernetes(a);
	for (size_t i = 0; i < a->n_waiters; i++)
		a->waiters[i].seen = true;
	int64_t took = boot_now_ms() - began;
	a->rest_until =
		took < REST_FROM_MS ? 0 : began + took + (4 * took < 1000 ? 4 * took : 1000);
	log_problems(a);
	kubernetes_show(a->kubernetes, &a->problems);
	return r;
}

static int open_store(struct agent *a, struct err *e)
{
	struct store_options o;
	agent_conf_store(&a->conf, &o);
	int r = store_open(&a->store, &o, e);
	if (r < 0)
		return r;
	a->watch_status = store_start_watch(a->store, a->member.key);
	a->watch_resources = store_start_watch(a->store, KEYS_RESOURCES);
	a->watch_blocks = store_start_watch(a->store, KEYS_BLOCKS);
	a->watch_loans = store_start_watch(a->store, KEYS_LOANS);
	return 0;
}

static int open_bird(struct agent *a, struct err *e)
{
	struct bird_paths p = {
		.file = a->conf.bird_file,
		.socket = a->conf.bird_socket,
		.include = a->conf.bird_include,
		.group = a->conf.bird_group,
	};
	return bird_open(&a->bird, &p, e);
}

/* Who this machine is must be on the disk before the name is taken in the store. */
static int open_data(struct agent *a, struct err *e)
{
	const char *dir = a->conf.data_dir;
	int r = lastknown_lock(dir, e);
	if (r < 0)
		return r;
	a->data_lock = r;
	r = lastknown_load(dir, &a->known, e);
	if (r == -EBADMSG) {
		log_error("%s", e->text);
		r = lastknown_load(dir, &a->known, e);
	}
	if (r == 0)
		r = lastknown_store(dir, &a->known, e);
	return r < 0 ? r : 0;
}

/* Where each block was before: a block that the store says is ours goes there again. */
static void note_homes(struct agent *a)
{
	for (size_t i = 0; i < a->known.n_blocks; i++) {
		const struct lastknown_block *b = &a->known.blocks[i];
		pending_add(&a->pending, &(struct pending){
						 .block = b->cidr,
						 .dir = node_states_dir(&a->states, b->state_dir),
						 .kind = PENDING_HOME,
					 });
	}
}

/* As the name owns blocks, what cannot be counted counts as in use. */
static uint64_t count_used(struct agent *a)
{
	struct err e;
	uint64_t used = 0;
	if (node_states_read(&a->states, boot_now_ms() / 1000, &e) < 0)
		return 1;
	for (size_t i = 0; i < a->states.n_blocks; i++)
		used += a->states.blocks[i].in.used;
	return used;
}

static void choose_name(struct agent *a, const struct member_place *here)
{
	char told[RESOURCE_NAME];
	(void)text_copy(told, sizeof(told), a->conf.node);
	const struct naming_input in = {
		.told = told,
		.is_host = a->conf.node_is_host,
		.before = a->known.mirror.node,
		.other_machine = *a->known.machine && *here->machine &&
				 strcmp(a->known.machine, here->machine) != 0,
		.used = count_used(a),
	};
	const char *name = naming_choose(&in, a->renamed);
	(void)text_copy(a->conf.node, sizeof(a->conf.node), name);
	log_info("node %s, store %s", a->conf.node, a->conf.store.url);
}

/* Who it is among the agents of the cluster; the same after a restart. */
static int open_kubernetes(struct agent *a, struct err *e)
{
	char me[RESOURCE_NAME + STATUS_ID + 1];
	(void)snprintf(me, sizeof(me), "%s_%s", a->conf.node, a->known.installation);
	return kubernetes_open(&a->kubernetes, &a->conf, me, e);
}

static int open_all(struct agent *a, struct err *e)
{
	int r = open_data(a, e);
	if (r >= 0)
		r = sole_open(&a->sole, e);
	if (r >= 0)
		r = node_states_open(&a->states, &a->conf, e);
	if (r < 0)
		return r;
	struct member_place here;
	member_find_place(&here);
	choose_name(a, &here);
	note_homes(a);
	know_reserved(a);
	replica_init(&a->replica, a->conf.node);
	a->loss.id = a->known.store_id;
	member_init(&a->member, a->conf.node, a->known.installation, &here);
	r = kernel_open(&a->kernel, e);
	if (r >= 0)
		r = pods_open(&a->pods, e);
	if (r >= 0)
		r = nft_open(&a->nft, e);
	if (r >= 0) {
		a->tunnel_filter = tunnel_filter_new(a->nft);
		a->nat = nat_new(a->nft);
		r = open_bird(a, e);
	}
	if (r >= 0)
		r = conflist_open(
			&a->conflist, a->conf.conflist_file, a->conf.conflist_template, e);
	if (r >= 0)
		r = open_store(a, e);
	if (r >= 0)
		r = policies_open(a, e);
	if (r >= 0)
		r = open_kubernetes(a, e);
	if (r >= 0)
		r = server_open(&a->server, a->conf.socket, a->conf.socket_group, e);
	return r;
}

int agent_open(struct agent **out, const struct agent_conf *c, struct err *e)
{
	struct agent *a = mem_new(1, sizeof(*a));
	a->conf = *c;
	a->data_lock = a->sole = -1;
	a->began_s = boot_wall_s();
	a->poll_at = a->slow_at = a->publish_at = boot_now_ms();
	int r = open_all(a, e);
	if (r < 0) {
		agent_close(a);
		return r;
	}
	*out = a;
	return 0;
}

/* Says goodbye in the store, as long as that takes no time. */
static void say_goodbye(struct agent *a)
{
	int64_t until = boot_now_ms() + CLOSE_MS;
	if (!member_has_word(&a->member) || store_trouble(a->store, NULL))
		return;
	bool said = false;
	while (boot_now_ms() < until && !(said && !a->member.commit)) {
		struct pollfd p = {.fd = store_fd(a->store), .events = POLLIN};
		struct store_event ev;
		if (!a->member.commit) {
			a->member.next_s = 0;
			publish_status(a, true);
			said = true;
		}
		(void)poll(&p, 1, 50);
		while (store_next(a->store, &ev))
			if (ev.id == a->watch_status || ev.id == a->member.commit)
				(void)member_take(&a->member, &ev, boot_now_ms() / 1000);
	}
}

void agent_close(struct agent *a)
{
	if (!a)
		return;
	if (a->store)
		say_goodbye(a);
	kubernetes_leave(a->kubernetes, CLOSE_MS);
	server_close(a->server);
	kubernetes_close(a->kubernetes);
	policies_close(&a->policies);
	bird_close(a->bird);
	conflist_close(&a->conflist);
	nat_free(a->nat);
	tunnel_filter_free(a->tunnel_filter);
	nft_close(a->nft);
	pods_close(&a->pods);
	kernel_close(a->kernel);
	store_close(a->store);
	node_states_close(&a->states);
	for (size_t i = 0; i < a->n_waiters; i++)
		free(a->waiters[i].pools);
	member_done(&a->member);
	replica_done(&a->replica);
	store_loss_done(&a->loss);
	lastknown_done(&a->known);
	free(a->known_text);
	if (a->data_lock >= 0)
		(void)close(a->data_lock);
	if (a->sole >= 0)
		(void)close(a->sole);
	free((void *)a->self.announced);
	free((void *)a->self.kept);
	free(a->bird_text);
	free(a->exits.own);
	peers_down_done(&a->peers_down);
	pending_done(&a->pending);
	free(a->lending.reading.docs);
	poolroutes_done(&a->poolroutes);
	free(a);
}

void agent_fds(const struct agent *a, int fds[AGENT_FDS])
{
	fds[0] = store_fd(a->store);
	fds[1] = kernel_fd(a->kernel);
	fds[2] = bird_fd(a->bird);
	fds[3] = server_fd(a->server);
	fds[4] = conflist_fd(&a->conflist);
	fds[5] = kubernetes_fd(a->kubernetes);
	fds[6] = enforce_fd(a->policies.enforce);
}

static void end_node_commit(struct agent *a, const struct store_event *ev)
{
	a->node_commit = 0;
	if (ev->kind == STORE_FAILED)
		log_debug("cannot write the Node document, trying again: %s", ev->what);
	if (ev->kind != STORE_DONE)
		a->node_retry_at = boot_now_ms() + 1000;
	agent_want_reconcile(a, AGENT_SOON);
}

/* What an earlier version kept beside the blocks goes. What is met again by the next agent does no harm. */
static void list_old_index(struct agent *a)
{
	char prefix[STORE_KEY_MAX];
	keys_old_index(a->conf.node, prefix);
	a->list_index = store_start_list(a->store, prefix);
}

static void drop_old_index(struct agent *a, const struct store_event *ev)
{
	const struct store_write w = {.key = ev->key, .revision = ev->revision};
	if (ev->kind == STORE_PUT)
		(void)store_start_write(a->store, &w, 0);
}

/* The answer of a list that was asked for may be behind what a watch has told meanwhile: that says nothing of
 * a store that went back. */
static bool is_of_watch(const struct agent *a, uint64_t id)
{
	return id == a->watch_status || id == a->watch_resources || id == a->watch_blocks ||
	       id == a->watch_loans;
}

static struct kubernetes_agent show_kubernetes(struct agent *a)
{
	return (struct kubernetes_agent){
		.store = a->store,
		.replica = &a->replica,
		.states = &a->states,
		.net = a->pods.net,
		.enforce = a->policies.enforce,
		.acts = a->member.joined && a->has_reconciled && !*a->member.waits,
		.now_ms = boot_now_ms(),
	};
}

static void take_store_event(struct agent *a, const struct store_event *ev)
{
	struct kubernetes_agent shown = show_kubernetes(a);
	if (kubernetes_take(a->kubernetes, ev, &shown) ||
		enforce_take_store(a->policies.enforce, ev))
		return;
	note_commit(a, ev);
	if (ev->kind != STORE_RESTART || is_of_watch(a, ev->id))
		store_loss_hear(&a->loss, ev, boot_now_ms());
	if (ev->id == a->watch_status || ev->id == a->member.commit) {
		bool was = a->member.joined;
		if (member_take(&a->member, ev, boot_now_ms() / 1000))
			agent_want_reconcile(a, AGENT_AT_ONCE);
		if (a->member.joined && !was) { /* [A1], so A2 is due */
			pending_forget_kind(&a->pending, PENDING_CONFIRMED);
			a->lending.knows = false;
			list_old_index(a);
		}
		a->publish_at = boot_now_ms();
	} else if (ev->id == a->watch_resources) {
		if (!enforce_take_resource(a->policies.enforce, ev) &&
			replica_take(&a->replica, REPLICA_RESOURCES, ev))
			agent_want_reconcile(a, AGENT_AT_ONCE);
	} else if (ev->id == a->watch_blocks) {
		if (replica_take(&a->replica, REPLICA_BLOCKS, ev))
			agent_want_reconcile(a, AGENT_AT_ONCE);
	} else if (ev->id == a->watch_loans) {
		if (replica_take(&a->replica, REPLICA_LOANS, ev))
			agent_want_reconcile(a, AGENT_AT_ONCE);
	} else if (end_loan_reading(a, ev)) {
		agent_want_reconcile(a, AGENT_AT_ONCE);
	} else if (first_pools_take(&a->first_pools, ev)) {
		agent_want_reconcile(a, AGENT_SOON);
	} else if (ev->id == a->node_commit) {
		end_node_commit(a, ev);
	} else if (ev->id == a->list_index) {
		drop_old_index(a, ev);
	} else if (end_block_step(a, ev)) {
		agent_want_reconcile(a, AGENT_AT_ONCE);
	}
}

static void want_look_at_pods(struct agent *a, int64_t in_ms)
{
	int64_t at = pods_next(&a->pods, boot_now_ms() + in_ms);
	if (!a->pods_at || at < a->pods_at)
		a->pods_at = at;
}

/* What somebody changed by hand. A change of tables has no second half that one would have to wait for. */
static void take_signs(struct agent *a)
{
	struct kernel_signs signs = kernel_take_signs(a->kernel);
	int64_t rested = a->tables_looked_ms ? a->tables_looked_ms + TABLES_MS : 0;
	int64_t now = boot_now_ms();
	if (signs.pods) {
		want_look_at_pods(a, PODS_SOON_MS);
		policies_want_look(a);
	}
	if (!signs.tables)
		return;
	want_look_at_pods(a, 0);
	if (!a->tables_at)
		a->tables_at = now > rested ? now : rested;
}

static void take_kernel(struct agent *a)
{
	struct err e;
	int r = kernel_read(a->kernel, &e);
	if (r < 0)
		log_warning("cannot read what the kernel tells: %s", e.text);
	if (r == KERNEL_MARKED && !a->delete_marked_at)
		a->delete_marked_at = boot_now_ms() + REAP_MS;
	if (r == KERNEL_CHANGED)
		agent_want_reconcile(a, AGENT_SOON);
	take_signs(a);
}

static void take_bird(struct agent *a)
{
	struct err e;
	int r = bird_step(a->bird, &e);
	if (r < 0)
		log_warning("BIRD: %s", e.text);
	if (r > 0)
		agent_want_reconcile(a, AGENT_AT_ONCE);
}

static void take_kubernetes(struct agent *a)
{
	struct kubernetes_agent shown = show_kubernetes(a);
	if (kubernetes_step(a->kubernetes, &shown)) {
		agent_want_reconcile(a, AGENT_SOON);
		a->publish_at = boot_now_ms();
	}
}

static void take_events(struct agent *a)
{
	struct store_event ev;
	uint64_t id;
	const json_t *request;
	while (store_next(a->store, &ev))
		take_store_event(a, &ev);
	take_kernel(a);
	take_bird(a);
	if (conflist_take(&a->conflist))
		agent_want_reconcile(a, AGENT_AT_ONCE);
	take_kubernetes(a);
	while (server_next(a->server, &id, &request))
		handle_request(a, id, request);
}

static bool is_due(int64_t *at, int64_t now, int64_t period)
{
	if (!*at || now < *at)
		return false;
	*at = period ? now + period : 0;
	return true;
}

/* Pods do not depend on the store: they are looked at whatever it does. */
static void look_at_pods(struct agent *a, int64_t now)
{
	struct problems before = a->pods.problems;
	a->pods_at = 0;
	if (pods_look(&a->pods, &a->states, now) > 0)
		want_look_at_pods(a, 0);
	if (memcmp(&before, &a->pods.problems, sizeof(before)) != 0)
		agent_want_reconcile(a, AGENT_AT_ONCE);
}

/* A reconciliation puts back what is not as it was left. */
static void look_at_tables(struct agent *a, int64_t now)
{
	struct err ignored; /* the reconciliation meets it, too */
	a->tables_looked_ms = now;
	if (tunnel_filter_is_changed(a->tunnel_filter, &ignored) != 0 ||
		nat_is_changed(a->nat, &ignored) != 0)
		agent_want_reconcile(a, AGENT_AT_ONCE);
}

static void do_due(struct agent *a)
{
	int64_t now = boot_now_ms();
	struct err e;
	/* The kernel is silent about a mark on a link that is down already. */
	if (a->slow_at <= now)
		a->delete_marked_at = now;
	if (is_due(&a->delete_marked_at, now, 0) && kernel_delete_marked_links(a->kernel, &e) < 0)
		log_warning("cannot delete the links that DEL marked: %s", e.text);
	if (is_due(&a->poll_at, now, POLL_MS)) {
		if (node_states_poll(&a->states) ||
			a->had_trouble != (store_trouble(a->store, NULL) != NULL))
			agent_want_reconcile(a, AGENT_AT_ONCE);
		pending_expire(&a->pending, now / 1000);
	}
	if (a->slow_at <= now)
		want_look_at_pods(a, 0);
	if (is_due(&a->pods_at, now, 0))
		look_at_pods(a, now);
	if (is_due(&a->tables_at, now, 0))
		look_at_tables(a, now);
	if (is_due(&a->commit_retry_at, now, 0))
		agent_want_reconcile(a, AGENT_AT_ONCE);
	if (a->slow_at <= now)
		agent_want_reconcile(a, AGENT_AT_ONCE); /* which sets the next time itself */
	for (int i = 0; i < ROUNDS && a->reconcile_at && a->reconcile_at <= boot_now_ms(); i++) {
		if (run_reconciliation(a) > 0)
			agent_want_reconcile(a, AGENT_AT_ONCE);
	}
	if (a->slow_at <= now)
		a->slow_at = now + SLOW_MS;
	answer_waiters(a);
	if (is_due(&a->publish_at, now, PUBLISH_MS))
		publish_status(a, false);
}

static unsigned int next_wait(const struct agent *a)
{
	int64_t now = boot_now_ms();
	const int64_t at[] = {a->reconcile_at, a->delete_marked_at, a->poll_at, a->slow_at,
		a->publish_at, a->pods_at, a->tables_at, policies_next(a)};
	int64_t wait = POLL_MS;
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
		if (at[i] && at[i] - now < wait)
			wait = at[i] - now;
	return wait > 0 ? (unsigned int)wait : 0;
}

int agent_step(struct agent *a, unsigned int *wait_ms, struct err *e)
{
	take_events(a);
	policies_step(a);
	if (*a->member.refusal && !a->kubernetes)
		return err_set(e, EEXIST, "node %s: %s", a->conf.node, a->member.refusal);
	do_due(a);
	*wait_ms = next_wait(a);
	return 0;
}

void agent_reload(struct agent *a, const struct agent_conf *c, const char *late)
{
	(void)text_copy(a->late, sizeof(a->late), late);
	a->conf.headroom = c->headroom;
	a->conf.idle_block_s = c->idle_block_s;
	a->conf.deleted_node_s = c->deleted_node_s;
	a->conf.default_balancer = c->default_balancer;
	a->conf.leaked_address_s = c->leaked_address_s;
	memcpy(a->conf.detect, c->detect, sizeof(a->conf.detect));
	a->conf.routes_static = c->routes_static;
	uint32_t mark = a->conf.policy.cut_mark;
	a->conf.policy = c->policy;
	a->conf.policy.cut_mark = mark;
	enforce_reload(a->policies.enforce);
	a->slow_at = boot_now_ms();
	agent_want_reconcile(a, AGENT_AT_ONCE);
}

void agent_describe(const struct agent *a, char *out, size_t size)
{
	const char *trouble = store_trouble(a->store, NULL);
	(void)snprintf(out, size, "%zu blocks, BIRD %s, %s%s%zu problems", a->states.n_blocks,
		a->bird_status.up ? "up" : "down", trouble ? trouble : "store fine", ", ",
		a->problems.total);
}
