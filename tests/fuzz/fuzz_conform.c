/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: what a probe says. Whatever it is: it is taken or refused, and what was taken can be
 * planned with, judged and reported, in lines without control characters.
 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>

#include "cli/conform/cause.h"
#include "cli/conform/judge.h"
#include "cli/conform/plan.h"
#include "cli/conform/report.h"
#include "cli/conform/static.h"
#include "lib/json.h"
#include "lib/mem.h"

/* Two nodes that both say this of themselves and of a pod. */
static void make(struct conform_cluster *c, const json_t *doc)
{
	struct err e;
	*c = (struct conform_cluster){
		.members = mem_new(2, sizeof(*c->members)), .n = 2, .families = {true, true}};
	for (size_t i = 0; i < 2; i++) {
		struct conform_member *m = &c->members[i];
		(void)snprintf(m->name, sizeof(m->name), "n%zu", i);
		m->alive = conform_facts_parse(doc, &m->facts, &e) == 0;
		m->n_pods = conform_pod_parse(doc, &m->pods[0], &e) == 0;
		(void)conform_ports_parse(doc, &m->ports, &e);
		conform_member_find_addresses(m);
	}
}

static void judge(const struct conform_cluster *c, const struct conform_checks *all,
	const json_t *doc, struct conform_check *k)
{
	struct conform_outcome o;
	struct conform_evidence evidence = {0};
	struct err e;
	struct conform_heard heard = {0};
	if (k->verdict != CONFORM_OPEN)
		return;
	if (k->kind == CONFORM_REPEL && conform_heard_parse(doc, &heard, &e) == 0)
		conform_judge_heard(c, &heard, k);
	else if (conform_outcome_parse(doc, &o, &e) == 0)
		conform_judge(c, &o, k);
	else
		conform_judge_untried(false, e.text, k);
	if (k->verdict != CONFORM_FAILED || !conform_cause_is_followed(c, k))
		return;
	(void)conform_counts_parse(doc, &evidence.inner, &e);
	conform_cause(c, all, &evidence, &evidence, k);
}

static void report(const struct conform_checks *checks)
{
	CLEANUP_FREE char *text = NULL;
	size_t len = 0;
	struct conform_progress progress = {.format = CONFORM_TEXT};
	const struct conform_totals facts = {0};
	FILE *f = open_memstream(&text, &len);
	CHECK(f);
	conform_progress_print(f, &progress, checks);
	conform_report_end(f, checks, &facts);
	conform_report_junit(f, checks, &facts);
	conform_report_json(f, checks, &facts);
	(void)fclose(f);
	for (size_t i = 0; i < len; i++)
		CHECK((unsigned char)text[i] >= ' ' || text[i] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_JSON json_t *doc = NULL;
	struct err e;
	struct conform_cluster c;
	struct conform_checks checks = {0};
	if (json_parse((const char *)data, size, &doc, &e) < 0)
		return 0;
	make(&c, doc);
	conform_addresses(&c, &checks);
	conform_routes(&c, &checks);
	conform_plan(&c, &checks);
	conform_leftovers(&c, &checks);
	for (size_t i = 0; i < checks.n; i++)
		judge(&c, &checks, doc, &checks.list[i]);
	report(&checks);
	conform_checks_done(&checks);
	conform_cluster_done(&c);
	return 0;
}
