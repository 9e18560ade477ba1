/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent says of itself: its status document in the store, and the answer to roostctl
 * status. Problems are logged once, when they appear and when they are over, not in every
 * reconciliation. The routes of exits are looked up when somebody asks, since BIRD changes them
 * without us.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/agent_impl.h"
#include "agent/readiness.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"

void log_problems(struct agent *a)
{
	struct problem_news news[PROBLEM_NEWS_MAX];
	size_t n = problems_news(&a->logged, &a->problems, boot_now_ms(), news);
	for (size_t i = 0; i < n; i++) {
		if (news[i].kind == PROBLEM_OVER)
			log_info("over: %s", news[i].text);
		else
			log_warning("%s", news[i].text);
	}
	size_t more = a->problems.total - a->problems.kept;
	if (more && more != a->logged_more)
		log_warning("and %zu more problems", more);
	a->logged_more = more;
}

/* Where pods leave. -errno: the kernel does not say. */
static int list_exits(
	const struct agent *a, struct exits_route out[EXITS_ROUTES], size_t *n, struct err *e)
{
	*n = 0;
	return a->exits.used ? kernel_exits(a->kernel, a->exits.table, out, n, e) : 0;
}

static void add_exit_routes(const struct agent *a, struct text *t)
{
	struct exits_route routes[EXITS_ROUTES];
	struct err e;
	size_t n;
	if (list_exits(a, routes, &n, &e) < 0)
		text_add(t, "%sthe routes of exits cannot be read: %s", t->len ? "; " : "", e.text);
	else if (n == 0)
		text_add(t, "%sno exit is left", t->len ? "; " : "");
	for (size_t i = 0; i < n; i++) {
		text_add(t, "%s%s ", t->len ? ", " : "", CIDR_STRING(&routes[i].dst));
		if (routes[i].paths)
			text_add(t, "by %u path%s", routes[i].paths,
				routes[i].paths == 1 ? "" : "s");
		else
			text_add(t, "unreachable");
	}
}

static void report_exits_text(const struct agent *a, char *out, size_t size)
{
	struct text t = {.buf = out, .size = size};
	*out = '\0';
	for (size_t i = 0; i < a->exits.n_own; i++)
		text_add(&t, "%s%s", i ? ", " : "is an exit to ", CIDR_STRING(&a->exits.own[i]));
	if (a->exits.used)
		add_exit_routes(a, &t);
}

static void fill_blocks(const struct agent *a, struct status *s)
{
	s->blocks = mem_new(a->states.n_blocks + 1, sizeof(*s->blocks));
	for (size_t i = 0; i < a->states.n_blocks; i++) {
		const struct node_block *b = &a->states.blocks[i].in;
		s->blocks[s->n_blocks++] = (struct status_block){
			.cidr = b->cidr,
			.pool = b->pool,
			.used = b->used,
			.cooling = b->cooling,
			.reserved = b->reserved,
			.quarantined = b->quarantined,
			.free = b->free,
			.draining = b->draining,
		};
	}
}

static const char *bird_text(const struct agent *a)
{
	if (*a->bird_status.trouble)
		return a->bird_status.trouble;
	return a->bird_status.up ? "up" : "down";
}

void publish_status(struct agent *a, bool stopped)
{
	struct status s = {.stopped = stopped,
		.interval_s = a->conf.heartbeat_s,
		.peers_up = a->bird_status.peers_up,
		.peers = a->bird_status.peers};
	s.tunnels[0] = tunnel_addresses_count(&a->tunnels, AF_INET);
	s.tunnels[1] = tunnel_addresses_count(&a->tunnels, AF_INET6);
	(void)text_copy(s.node_uid, sizeof(s.node_uid), kubernetes_uid(a->kubernetes));
	(void)text_copy(s.version, sizeof(s.version), ROOST_VERSION);
	(void)text_clean(s.bird, sizeof(s.bird), bird_text(a));
	(void)text_copy(s.store, sizeof(s.store), a->conf.store.url);
	s.n_problems = problems_lines(&a->problems, STATUS_PROBLEMS, s.problems);
	s.problem_count = (uint32_t)a->problems.total;
	report_exits_text(a, s.exits, sizeof(s.exits));
	peers_down_fill(&a->peers_down, &s);
	fill_blocks(a, &s);
	member_say(&a->member, a->store, &s, boot_now_ms() / 1000);
	status_done(&s);
}

const char *agent_lacks(const struct agent *a)
{
	const struct replica_node *node = replica_node(&a->replica, a->conf.node);
	struct readiness in = {
		.has_reconciled = a->has_reconciled,
		.waits = *a->member.waits ? a->member.waits
			 : a->loss.holds  ? a->loss.why
					  : "",
		.has_address = a->self.addr[IPV4].addr.family || a->self.addr[IPV6].addr.family,
		.drain = node && node->spec.drain,
		.gives = {a->states.gives[IPV4], a->states.gives[IPV6]},
		.bird = &a->bird_status,
		.generation = a->generation,
	};
	for (size_t i = 0; i < a->self.n_announced; i++)
		in.n_blocks[family_of(a->self.announced[i].addr.family)]++;
	return readiness_lacks(&in);
}

/* The answer to roostctl status. */

static json_t *text_or_null(const char *s)
{
	char clean[512];
	if (!s || !*s)
		return json_null();
	(void)json_clean(clean, sizeof(clean), s);
	return json_string(clean);
}

static json_t *report_address(const struct cidr *c)
{
	return c->addr.family ? json_of_cidr(c) : json_null();
}

static const char *state_text(const struct node_block *b)
{
	if (b->disowned)
		return "disowned";
	if (b->draining)
		return "draining";
	return b->quarantined ? "quarantined" : "owned";
}

static json_t *report_blocks(const struct agent *a)
{
	json_t *list = json_array();
	for (size_t i = 0; i < a->states.n_blocks; i++) {
		const struct node_block *b = &a->states.blocks[i].in;
		json_t *doc = json_pack("{s:o, s:o, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "cidr",
			json_of_cidr(&b->cidr), "pool", json_of_cidr(&b->pool), "stateDir",
			a->states.dirs[a->states.blocks[i].dir].path, "state", state_text(b),
			"used", (json_int_t)b->used, "cooling", (json_int_t)b->cooling, "reserved",
			(json_int_t)b->reserved, "quarantined", (json_int_t)b->quarantined, "free",
			(json_int_t)b->free);
		json_append(list, doc);
	}
	return list;
}

static json_t *report_exits(const struct agent *a)
{
	struct exits_route routes[EXITS_ROUTES];
	struct err ignored; /* the text beside it says it */
	size_t n;
	json_t *to = json_array();
	json_t *used = json_array();
	(void)list_exits(a, routes, &n, &ignored);
	for (size_t i = 0; i < a->exits.n_own; i++)
		json_append(to, json_of_cidr(&a->exits.own[i]));
	for (size_t i = 0; i < n; i++)
		json_append(used, json_pack("{s:o, s:i}", "cidr", json_of_cidr(&routes[i].dst),
					  "paths", (int)routes[i].paths));
	return json_pack("{s:o, s:b, s:o}", "isExitTo", to, "used", a->exits.used, "routes", used);
}

static void report_problems(const struct agent *a, json_t *report)
{
	struct problems all = a->problems;
	char lines[PROBLEMS_MAX + 1][PROBLEM_TEXT];
	if (!a->has_reconciled && !*a->member.waits && !a->loss.holds)
		problems_add(
			&all, "the cluster store has not been read yet: the node stays as it was");
	size_t n = problems_lines(&all, PROBLEMS_MAX + 1, lines);
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_append(list, text_or_null(lines[i]));
	json_put(report, "problems", list);
	json_put(report, "problemCount", json_of_number(all.total));
}

static void report_readiness(const struct agent *a, json_t *report)
{
	const char *lacks = agent_lacks(a);
	if (!lacks && !conflist_is_fine(&a->conflist))
		lacks = "the runtime's network configuration is not in place";
	json_put(report, "ready", json_boolean(!lacks));
	json_put(report, "lacks", text_or_null(lacks));
}

json_t *report_status(const struct agent *a)
{
	int64_t since;
	char began[32];
	const char *trouble = store_trouble(a->store, &since);
	boot_format_time(a->began_s, began);
	json_t *store = json_pack("{s:s, s:o, s:o}", "url", a->conf.store.url, "trouble",
		text_or_null(trouble), "sinceSeconds",
		trouble ? json_integer(boot_now_ms() / 1000 - since) : json_null());
	const struct bird_status *l = &a->bird_status;
	json_t *bird = json_pack("{s:b, s:b, s:b, s:o, s:i, s:i, s:o}", "up", l->up, "recovering",
		l->recovering, "loaded", l->loaded && l->loaded == a->generation, "trouble",
		text_or_null(l->trouble), "peers", (int)l->peers, "peersUp", (int)l->peers_up,
		"peersDown", peers_down_report(&a->peers_down));
	char exits[sizeof(((struct status *)0)->exits)];
	report_exits_text(a, exits, sizeof(exits));
	json_t *report = json_pack("{s:s, s:s, s:s, s:o, s:o, s:{s:o, s:o}, s:o}", "node",
		a->conf.node, "installation", a->member.installation, "since", began, "store",
		store, "bird", bird, "address", "ipv4", report_address(&a->self.addr[IPV4]), "ipv6",
		report_address(&a->self.addr[IPV6]), "blocks", report_blocks(a));
	json_put(report, "policy", enforce_report(a->policies.enforce));
	report_readiness(a, report);
	report_problems(a, report);
	json_put(report, "exits", report_exits(a));
	json_put(report, "exitsText", text_or_null(exits));
	return report;
}
