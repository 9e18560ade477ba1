/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reports. Text is for a person at three in the morning: one line for a check, with what was
 * expected and what was seen; the failures once more at the end, each cause said once, with the
 * first checks that show it.
 *
 * Everything printed was cleaned when it was taken in; XML is escaped here.
 *
 * The line of progress is redrawn ten times a second at most, since a terminal at the other end of a
 * slow line is read by the person who waits.
 */
#include "cli/conform/report.h"

#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "lib/json.h"
#include "cli/output.h"
#include "lib/boot.h"
#include "lib/mem.h"

#define SHOWN 5 /* checks of one cause */
#define PERIOD_NS 100000000u

static const char *const words[] = {"open", "ok", "FAIL", "skip"};

static void print_line(FILE *f, const struct conform_check *k)
{
	if (k->verdict == CONFORM_SKIPPED)
		(void)fprintf(f, "skip  %s  %s\n", k->what, k->saw);
	else
		(void)fprintf(f, "%-4s  %s  expected %s, saw %s\n", words[k->verdict], k->what,
			k->expected, k->saw);
}

/* The failures that have the cause of the one at first. */
static void print_cause(FILE *f, const struct conform_checks *c, size_t first, bool *done)
{
	const char *cause = c->list[first].cause;
	size_t shown = 0, hidden = 0;
	(void)fprintf(f, "\n");
	for (size_t i = first; i < c->n; i++) {
		const struct conform_check *k = &c->list[i];
		if (k->verdict != CONFORM_FAILED || strcmp(k->cause, cause) != 0)
			continue;
		done[i] = true;
		if (shown == SHOWN && *cause) {
			hidden++;
			continue;
		}
		print_line(f, k);
		shown++;
	}
	if (hidden)
		(void)fprintf(f, "      and %zu more\n", hidden);
	if (*cause)
		(void)fprintf(f, "      cause: %s\n", cause);
}

void conform_report_end(FILE *f, const struct conform_checks *c, const struct conform_totals *r)
{
	struct conform_summary s = conform_checks_sum(c);
	CLEANUP_FREE bool *done = mem_new(c->n + 1, sizeof(*done));
	(void)fprintf(f, "\n%zu checks: %zu ok, %zu failed, %zu skipped", s.checks, s.ok, s.failed,
		s.skipped);
	if (s.open)
		(void)fprintf(f, ", %zu not made", s.open);
	(void)fprintf(f, " (%s, %s, %.1f s)\n", COUNT_STRING(r->nodes, "node", "nodes"),
		COUNT_STRING(r->pods, "pod", "pods"), (double)r->duration_ms / 1000.0);
	if (!r->all_pairs)
		(void)fprintf(f,
			"Of so many pods a ring and a random sample of pairs was tried; seed "
			"%llu.\n",
			(unsigned long long)r->seed);
	if (r->interrupted)
		(void)fprintf(f, "The run was interrupted.\n");
	for (size_t i = 0; i < c->n; i++)
		if (c->list[i].verdict == CONFORM_FAILED && !done[i])
			print_cause(f, c, i, done);
}

static json_t *check_json(const struct conform_check *k)
{
	static const char *const verdicts[] = {"open", "ok", "failed", "skipped"};
	json_t *o = json_object();
	json_put(o, "check", json_of_text(k->what));
	json_put(o, "group", json_string(k->group));
	json_put(o, "family", k->family ? json_integer(k->family) : json_null());
	json_put(o, "verdict", json_string(verdicts[k->verdict]));
	json_put(o, "expected", json_of_text(k->expected));
	json_put(o, "saw", json_of_text(k->saw));
	if (*k->cause)
		json_put(o, "cause", json_of_text(k->cause));
	return o;
}

void conform_report_json(FILE *f, const struct conform_checks *c, const struct conform_totals *r)
{
	struct conform_summary s = conform_checks_sum(c);
	json_t *doc = json_object(), *list = json_array(), *summary = json_object();
	for (size_t i = 0; i < c->n; i++)
		json_append(list, check_json(&c->list[i]));
	const struct {
		const char *key;
		size_t value;
	} numbers[] = {{"checks", s.checks}, {"ok", s.ok}, {"failed", s.failed},
		{"skipped", s.skipped}, {"open", s.open}, {"nodes", r->nodes}, {"pods", r->pods},
		{"durationMs", r->duration_ms}};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		json_put(summary, numbers[i].key, json_of_number(numbers[i].value));
	json_put(summary, "allPairs", json_boolean(r->all_pairs));
	json_put(summary, "seed", json_of_number(r->seed));
	json_put(summary, "interrupted", json_boolean(r->interrupted));
	json_put(doc, "checks", list);
	json_put(doc, "summary", summary);
	(void)json_dumpf(doc, f, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	(void)fprintf(f, "\n");
	json_decref(doc);
}

static void print_xml(FILE *f, const char *s)
{
	static const char special[] = "<>&\"'";
	static const char *const entities[] = {"&lt;", "&gt;", "&amp;", "&quot;", "&apos;"};
	for (; *s; s++) {
		const char *at = strchr(special, *s);
		if (at)
			(void)fputs(entities[at - special], f);
		else
			(void)fputc((unsigned char)*s < ' ' ? '?' : *s, f);
	}
}

static void print_case(FILE *f, const struct conform_check *k)
{
	(void)fprintf(f, "  <testcase classname=\"%s\" name=\"", k->group);
	print_xml(f, k->what);
	if (k->verdict == CONFORM_OK) {
		(void)fprintf(f, "\"/>\n");
		return;
	}
	bool failed = k->verdict == CONFORM_FAILED;
	(void)fprintf(f, "\">\n    <%s message=\"", failed ? "failure" : "skipped");
	if (failed) {
		(void)fprintf(f, "expected ");
		print_xml(f, k->expected);
		(void)fprintf(f, ", saw ");
	}
	print_xml(f, k->verdict == CONFORM_OPEN ? "not made" : k->saw);
	(void)fprintf(f, "\">");
	print_xml(f, k->cause);
	(void)fprintf(f, "</%s>\n  </testcase>\n", failed ? "failure" : "skipped");
}

void conform_report_junit(FILE *f, const struct conform_checks *c, const struct conform_totals *r)
{
	struct conform_summary s = conform_checks_sum(c);
	(void)fprintf(f,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<testsuite name=\"roostctl conformance\" tests=\"%zu\" failures=\"%zu\" "
		"errors=\"0\" skipped=\"%zu\" time=\"%.3f\">\n",
		s.checks, s.failed, s.skipped + s.open, (double)r->duration_ms / 1000.0);
	for (size_t i = 0; i < c->n; i++)
		print_case(f, &c->list[i]);
	(void)fprintf(f, "</testsuite>\n");
}

/* ---- Progress ---- */

void conform_progress_open(struct conform_progress *p, enum conform_format format)
{
	*p = (struct conform_progress){.format = format, .on = isatty(STDERR_FILENO) == 1};
}

static void progress_show(struct conform_progress *p)
{
	if (!p->on)
		return;
	p->shown_ns = boot_now_ns();
	(void)fprintf(stderr, "\r\033[K%s: %zu of %zu", p->what, p->done, p->all);
	(void)fflush(stderr);
}

void conform_progress_begin(struct conform_progress *p, const char *what, size_t all)
{
	p->what = what;
	p->done = 0;
	p->all = all;
	progress_show(p);
}

void conform_progress_step(struct conform_progress *p)
{
	p->done++;
	if (p->on && boot_now_ns() - p->shown_ns > PERIOD_NS)
		progress_show(p);
}

void conform_progress_clear(struct conform_progress *p)
{
	if (!p->on || !p->shown_ns)
		return;
	(void)fprintf(stderr, "\r\033[K");
	(void)fflush(stderr);
	p->shown_ns = 0;
}

void conform_progress_print(FILE *f, struct conform_progress *p, const struct conform_checks *c)
{
	if (p->format != CONFORM_TEXT)
		return;
	conform_progress_clear(p);
	for (; p->printed < c->n && c->list[p->printed].verdict != CONFORM_OPEN; p->printed++)
		print_line(f, &c->list[p->printed]);
	(void)fflush(f);
}
