/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl status, store accept: the agent of this machine about itself, asked over its socket; the store is not
 * needed. The answer is printed as it is for programs. For people each part has a line, and what
 * is missing in it (an agent of another version) has none.
 *
 * Exit status 1 when there is no answer or the agent has a problem, so that it can be a health
 * check. A problem is no reason to end an agent (--live) or to hold up an upgrade (--ready): each of these
 * asks for one thing alone.
 */
#include "cli/commands.h"

#include <errno.h>
#include <stdio.h>

#include "cli/config.h"
#include "cli/output.h"
#include "cli/patience.h"
#include "cli/table.h"
#include "lib/ask.h"
#include "lib/json.h"
#include "lib/text.h"

#define TIMEOUT_MS 5000

static long long number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static bool is_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

static void print_store(const json_t *store)
{
	char text[1100];
	struct text t = TEXT_ON(text);
	const char *trouble = json_text_at(store, "trouble");
	text_add(&t, "%.500s", json_text_at(store, "url"));
	if (*trouble)
		text_add(&t, ", unusable for %lld s: %.400s", number_of(store, "sinceSeconds"),
			trouble);
	output_line("store", text);
}

/* Nothing where there are none. */
static void print_policies(const json_t *policy)
{
	char text[200];
	struct text t = TEXT_ON(text);
	if (!number_of(policy, "policies"))
		return;
	text_add(&t, "%lld in the cluster, %s", number_of(policy, "policies"),
		is_true(policy, "current") ? "in force" : "as they were before the last change");
	if (number_of(policy, "connectionsCut"))
		text_add(&t, ", %lld connections cut", number_of(policy, "connectionsCut"));
	output_line("policies", text);
}

static void print_bird(const json_t *bird)
{
	char text[600];
	struct text t = TEXT_ON(text);
	const char *trouble = json_text_at(bird, "trouble");
	text_add(&t, "%s", is_true(bird, "up") ? "up" : "down");
	if (is_true(bird, "recovering"))
		text_add(&t, ", recovering from a restart");
	if (is_true(bird, "up") && !is_true(bird, "loaded"))
		text_add(&t, ", our configuration is not loaded");
	if (is_true(bird, "up"))
		text_add(&t, ", %lld of %lld peers", number_of(bird, "peersUp"),
			number_of(bird, "peers"));
	if (*trouble)
		text_add(&t, ": %.400s", trouble);
	output_line("bird", text);
}

/* Sessions that are down, with BIRD's own words; what mends them is a problem when they stay so. */
static void print_peers_down(const json_t *peers)
{
	for (size_t i = 0; i < json_array_size(peers); i++) {
		const json_t *p = json_array_get(peers, i);
		const char *node = json_text_at(p, "node");
		char text[600];
		struct text t = TEXT_ON(text);
		text_add(&t, "%.253s%s%.46s%s since %.32s: %.100s", node, *node ? " (" : "",
			json_text_at(p, "peer"), *node ? ")" : "", json_text_at(p, "since"),
			json_text_at(p, "bird"));
		output_line("peer down", text);
	}
}

static void print_address(const json_t *address)
{
	char text[200];
	struct text t = TEXT_ON(text);
	const char *v4 = json_text_at(address, "ipv4"), *v6 = json_text_at(address, "ipv6");
	text_add(&t, "%.60s%s%.60s", v4, *v4 && *v6 ? ", " : "", v6);
	output_line("address", *text ? text : "none found");
}

/* Beyond INT64_MAX is how our documents say "more than fits". */
static uint64_t count_of(const json_t *block, const char *key)
{
	long long n = number_of(block, key);
	return n == INT64_MAX ? UINT64_MAX : (uint64_t)n;
}

static void print_blocks(const json_t *blocks)
{
	CLEANUP_TABLE struct table t;
	table_init(&t, "BLOCK|POOL|STATE|>USED|>COOLING|>RESERVED|>QUARANTINED|>FREE|STATE-DIR");
	for (size_t i = 0; i < json_array_size(blocks); i++) {
		const json_t *b = json_array_get(blocks, i);
		table_row(&t, json_text_at(b, "cidr"), json_text_at(b, "pool"),
			json_text_at(b, "state"), NUMBER_STRING(count_of(b, "used")),
			NUMBER_STRING(count_of(b, "cooling")),
			NUMBER_STRING(count_of(b, "reserved")),
			NUMBER_STRING(count_of(b, "quarantined")),
			NUMBER_STRING(count_of(b, "free")), json_text_at(b, "stateDir"));
	}
	(void)printf("\n");
	table_print(&t, stdout);
}

static void print_answer(const json_t *a)
{
	const json_t *problems = json_object_get(a, "problems");
	const json_t *blocks = json_object_get(a, "blocks");
	output_line("node", json_text_at(a, "node"));
	output_line("installation", json_text_at(a, "installation"));
	output_line("running since", json_text_at(a, "since"));
	print_address(json_object_get(a, "address"));
	print_store(json_object_get(a, "store"));
	print_bird(json_object_get(a, "bird"));
	print_peers_down(json_object_get(json_object_get(a, "bird"), "peersDown"));
	output_line("exits", json_text_at(a, "exitsText"));
	print_policies(json_object_get(a, "policy"));
	for (size_t i = 0; i < json_array_size(problems); i++) {
		const char *text = json_string_value(json_array_get(problems, i));
		output_line("problem", text ? text : "?");
	}
	if (json_array_size(problems) == 0)
		output_line("problems", "none");
	if (json_array_size(blocks) > 0)
		print_blocks(blocks);
}

static int ask_agent(const struct options *o, const char *op, json_t **answer, struct err *e)
{
	struct config c;
	CLEANUP_JSON json_t *request = json_pack("{ss}", "op", op);
	int r = config_socket(o, &c, e);
	if (r < 0)
		return r;
	char about[300];
	unsigned int wait_ms = o->timeout_ms ? o->timeout_ms : TIMEOUT_MS;
	(void)snprintf(about, sizeof(about), "the agent at %.200s", c.socket);
	patience_about(about, wait_ms);
	patience_begin();
	r = ask(c.socket, request, wait_ms, answer, e);
	patience_end();
	if (r == -ECONNREFUSED)
		err_details(e,
			"is roostd running? (systemctl status roostd) Its socket is --socket, "
			"ROOST_SOCKET, or \"socket\" in %.100s",
			o->config ? o->config : AGENT_CONF_FILE);
	return r;
}

/* An agent of a version that does not know it is none that an upgrade may wait for. */
static int print_readiness(const json_t *answer)
{
	const char *lacks = json_text_at(answer, "lacks");
	if (is_true(answer, "ready")) {
		(void)printf("ready\n");
		return 0;
	}
	return output_complain("not ready: %s", *lacks ? lacks : "the agent does not say");
}

int agent_status(const struct options *o)
{
	CLEANUP_JSON json_t *answer = NULL;
	struct err e = {0};
	if (ask_agent(o, "status", &answer, &e) < 0)
		return output_error(&e);
	if (o->given & OPTION_LIVE)
		return 0;
	if (o->given & OPTION_READY)
		return print_readiness(answer);
	if (o->json)
		output_json(json_incref(answer));
	else
		print_answer(answer);
	return json_array_size(json_object_get(answer, "problems")) > 0;
}

int agent_accept_store(const struct options *o)
{
	CLEANUP_JSON json_t *answer = NULL;
	struct err e = {0};
	if (ask_agent(o, "accept-store", &answer, &e) < 0)
		return output_error(&e);
	if (o->json)
		output_json(json_incref(answer));
	else
		(void)printf("the agent uses the store as it is\n");
	return 0;
}
