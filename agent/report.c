/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent says: its status document in the store, the answer to roostctl status, and answers
 * to ADDs that wait for a block. Problems are logged once, when they appear and when they are
 * over, not in every pass.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/agent_impl.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"

#define ASK_MS 7000 /* an ADD that asks for a block waits for so long */

void agent_log_problems(struct agent *a)
{
	const struct problems *now = &a->problems, *before = &a->logged;
	for (size_t i = 0; i < now->kept; i++)
		if (!problems_has(before, now->text[i]))
			log_warning("%s", now->text[i]);
	for (size_t i = 0; i < before->kept; i++)
		if (!problems_has(now, before->text[i]))
			log_info("over: %s", before->text[i]);
	size_t more = now->total - now->kept;
	if (more && more != before->total - before->kept)
		log_warning("and %zu more problems", more);
	a->logged = a->problems;
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

void agent_say(struct agent *a, bool stopped)
{
	struct err e;
	struct status s = {.stopped = stopped,
		.interval_s = a->conf.heartbeat_s,
		.peers_up = a->bird_status.peers_up,
		.peers = a->bird_status.peers};
	(void)boot_id(s.boot, &e);
	s.tunnels[0] = ends_count(&a->self, AF_INET);
	s.tunnels[1] = ends_count(&a->self, AF_INET6);
	(void)text_copy(s.version, sizeof(s.version), ROOST_VERSION);
	(void)text_clean(s.bird, sizeof(s.bird), bird_text(a));
	(void)text_copy(s.store, sizeof(s.store), a->conf.store.url);
	s.n_problems = problems_lines(&a->problems, STATUS_PROBLEMS, s.problems);
	report_exits_text(&a->exits, a->kernel, s.exits, sizeof(s.exits));
	fill_blocks(a, &s);
	member_say(&a->member, a->store, &s, agent_now_s());
	status_done(&s);
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
	char text[CIDR_TEXT] = "";
	if (c->addr.family)
		cidr_format(c, text);
	return text_or_null(text);
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
		char cidr[CIDR_TEXT];
		char pool[CIDR_TEXT];
		cidr_format(&b->cidr, cidr);
		cidr_format(&b->pool, pool);
		json_t *doc = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "cidr",
			cidr, "pool", pool, "stateDir",
			a->states.dirs[a->states.blocks[i].dir].path, "state", state_text(b),
			"used", (json_int_t)b->used, "cooling", (json_int_t)b->cooling, "reserved",
			(json_int_t)b->reserved, "quarantined", (json_int_t)b->quarantined, "free",
			(json_int_t)b->free);
		json_append(list, doc);
	}
	return list;
}

static void report_problems(const struct agent *a, json_t *report)
{
	struct problems all = a->problems;
	char lines[PROBLEMS_MAX + 1][PROBLEM_TEXT];
	if (!a->has_passed)
		problems_add(
			&all, "the cluster store has not been read yet: the node stays as it was");
	size_t n = problems_lines(&all, PROBLEMS_MAX + 1, lines);
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_append(list, text_or_null(lines[i]));
	json_put(report, "problems", list);
	json_put(report, "problemCount", json_of_number(all.total));
}

json_t *agent_report(const struct agent *a)
{
	int64_t since;
	char began[32];
	const char *trouble = store_trouble(a->store, &since);
	boot_format_time(a->began_s, began);
	json_t *store = json_pack("{s:s, s:o, s:o}", "url", a->conf.store.url, "trouble",
		text_or_null(trouble), "sinceSeconds",
		trouble ? json_integer(agent_now_s() - since) : json_null());
	const struct bird_status *l = &a->bird_status;
	json_t *bird = json_pack("{s:b, s:b, s:b, s:o, s:i, s:i}", "up", l->up, "recovering",
		l->recovering, "loaded", l->loaded && l->loaded == a->generation, "trouble",
		text_or_null(l->trouble), "peers", (int)l->peers, "peersUp", (int)l->peers_up);
	char exits[sizeof(((struct status *)0)->exits)];
	report_exits_text(&a->exits, a->kernel, exits, sizeof(exits));
	json_t *report = json_pack("{s:s, s:s, s:s, s:o, s:o, s:{s:o, s:o}, s:o}", "node",
		a->conf.node, "installation", a->member.installation, "since", began, "store",
		store, "bird", bird, "address", "ipv4", report_address(&a->self.addr4), "ipv6",
		report_address(&a->self.addr6), "blocks", report_blocks(a));
	report_problems(a, report);
	json_put(report, "exits", report_exits_json(&a->exits, a->kernel));
	json_put(report, "exitsText", text_or_null(exits));
	return report;
}

/* Requests. */

/* The plugin sends the folder as its configuration spells it. */
static int find_dir(const struct agent *a, const char *path)
{
	for (size_t i = 0; i < a->states.n_dirs; i++) {
		struct stat ours;
		struct stat theirs;
		if (stat(a->states.dirs[i].path, &ours) == 0 && stat(path, &theirs) == 0 &&
			ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino)
			return (int)i;
	}
	return -1;
}

/* The pools that the pod may use; without a list any. */
static int read_pools(const json_t *request, struct cidr **out, size_t *n, struct err *e)
{
	json_t *list = NULL;
	const json_t *item;
	size_t i;
	int r = json_get_array(request, "", "pools", &list, e);
	if (r <= 0)
		return r;
	size_t count = json_array_size(list);
	if (count == 0 || count > POOL_MAX)
		return err_set(e, EINVAL, "pools names none, or more than %d", POOL_MAX);
	CLEANUP_FREE struct cidr *pools = mem_new(count, sizeof(*pools));
	json_array_foreach (list, i, item) {
		const char *text = json_string_value(item);
		if (cidr_parse(text ? text : "", &pools[i], e) < 0)
			return err_set(e, EINVAL, "pools has something that is no network");
	}
	*n = count;
	*out = pools;
	pools = NULL;
	return 0;
}

static int read_asker(
	const struct agent *a, const json_t *request, struct agent_asker *out, struct err *e)
{
	const char *dir = NULL;
	const char *family = NULL;
	int64_t now = agent_now_ms();
	struct agent_asker asker = {.since_ms = now, .until_ms = now + ASK_MS};
	int r = json_get_string(request, "", "stateDir", &dir, e);
	if (r >= 0)
		r = json_get_string(request, "", "family", &family, e);
	if (r < 0)
		return r;
	int index = dir ? find_dir(a, dir) : -1;
	if (index < 0)
		return err_set(e, EINVAL, "this agent does not look after state folder %.200s",
			dir ? dir : "(none)");
	if (!family || (strcmp(family, "ipv4") != 0 && strcmp(family, "ipv6") != 0))
		return err_set(e, EINVAL, "family is neither ipv4 nor ipv6");
	r = read_pools(request, &asker.pools, &asker.ask.n_pools, e);
	if (r < 0)
		return r;
	asker.ask.dir = (size_t)index;
	asker.ask.family = strcmp(family, "ipv6") == 0;
	asker.ask.pools = asker.pools;
	*out = asker;
	return 0;
}

static int add_asker(struct agent *a, uint64_t id, const json_t *request, struct err *e)
{
	struct agent_asker asker = {0};
	if (a->n_askers == AGENT_ASKERS)
		return err_set(e, EAGAIN, "too many calls wait for a block");
	int r = read_asker(a, request, &asker, e);
	if (r < 0)
		return r;
	asker.id = id;
	a->askers[a->n_askers++] = asker;
	agent_want_pass(a, true);
	return 0;
}

/* Why an asker gets nothing; 0: it waits. */
static int verdict(const struct agent *a, const struct agent_asker *asker, struct err *e)
{
	const char *trouble = store_trouble(a->store, NULL);
	if (trouble)
		return err_set(e, EAGAIN, "no further block can be claimed: %s", trouble);
	if (*a->commit_trouble && a->commit_failed_ms > asker->since_ms)
		return err_set(e, EAGAIN,
			"no further block can be claimed, as the cluster store takes no changes: "
			"%s",
			a->commit_trouble);
	if (*a->disk_trouble)
		return err_set(e, EAGAIN, "no further block can be used: %s", a->disk_trouble);
	if (!a->has_passed)
		return agent_now_ms() < asker->until_ms
			       ? 0
			       : err_set(e, EAGAIN, "the agent has not read the cluster store yet");
	if (*asker->answer.why_not) {
		int r = err_set(e, EAGAIN, "%s", asker->answer.why_not);
		err_details(e, "add a pool (roostctl apply), or free addresses; roostctl ipam "
			       "show --cluster says who has them");
		return r;
	}
	if (agent_now_ms() >= asker->until_ms)
		return err_set(e, EAGAIN, "no block could be claimed in time");
	return 0;
}

/* Whether an ADD would get an address or a block now, of any pool: what "block" would say, at once. */
static int tell_room(const struct agent *a, const json_t *request, struct err *e)
{
	struct agent_asker asker = {0};
	int r = read_asker(a, request, &asker, e);
	if (r < 0)
		return r;
	free(asker.pools);
	asker.since_ms = 0; /* what is known already counts */
	const struct node_states_dir *d = &a->states.dirs[asker.ask.dir];
	if (asker.ask.family == 0 ? d->free4 : d->free6)
		return 0;
	(void)text_copy(
		asker.answer.why_not, sizeof(asker.answer.why_not), a->why_not[asker.ask.family]);
	return verdict(a, &asker, e);
}

void agent_handle(struct agent *a, uint64_t id, const json_t *request)
{
	struct err e;
	const char *op = json_string_value(json_object_get(request, "op"));
	if (op && strcmp(op, "status") == 0) {
		server_answer(a->server, id, agent_report(a));
	} else if (op && strcmp(op, "sync") == 0) {
		a->slow_at = agent_now_ms();
		agent_want_pass(a, true);
		server_answer(a->server, id, json_pack("{s:b}", "ok", 1));
	} else if (op && strcmp(op, "block") == 0) {
		int r = add_asker(a, id, request, &e);
		if (r < 0)
			server_refuse(a->server, id, r, &e);
	} else if (op && strcmp(op, "room") == 0) {
		int r = tell_room(a, request, &e);
		if (r < 0)
			server_refuse(a->server, id, r, &e);
		else
			server_answer(a->server, id, json_pack("{s:b}", "ok", 1));
	} else {
		(void)err_set(&e, EINVAL, "op is none of block, room, status, sync");
		server_refuse(a->server, id, -EINVAL, &e);
	}
}

void agent_answer_askers(struct agent *a)
{
	if (a->pass_at && a->pass_at <= agent_now_ms())
		return; /* the next pass knows more */
	for (size_t i = a->n_askers; i-- > 0;) {
		const struct agent_asker *asker = &a->askers[i];
		struct err e;
		if (!asker->seen)
			continue; /* its pass waits for the rest after a long one */
		bool has_free = asker->answer.free > 0;
		int r = has_free ? 0 : verdict(a, asker, &e);
		if (!has_free && r == 0)
			continue;
		if (has_free)
			server_answer(a->server, asker->id, json_pack("{s:b}", "ok", 1));
		else
			server_refuse(a->server, asker->id, r, &e);
		free(asker->pools);
		a->askers[i] = a->askers[--a->n_askers];
	}
}
