/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts on tries. A try whose probe is gone is skipped: that the probe is gone is a failure of its
 * own, said once and not a hundred times.
 */
#include "cli/conform/judge.h"

#include <string.h>

#include "lib/text.h"

static bool is_expected_source(
	const struct conform_cluster *c, const struct conform_try *t, const struct addr *seen)
{
	bool anybody = !t->any_of_node && !t->seen_as[0].family && !t->seen_as[1].family;
	if (anybody || !seen->family)
		return true;
	return addr_equal(seen, &t->seen_as[0]) || addr_equal(seen, &t->seen_as[1]) ||
	       (t->any_of_node && conform_member_has(&c->members[t->from], seen));
}

/* "EMSGSIZE (at most 1400 bytes, says 10.1.1.1)". */
static void format_error(const struct conform_outcome *o, char out[128])
{
	struct text t = {.buf = out, .size = 128};
	text_add(&t, "%s", *o->error ? o->error : "no answer");
	if (!*o->error)
		text_add(&t, ", %u sent", o->sent);
	if (o->path_mtu)
		text_add(&t, ", at most %u bytes", o->path_mtu);
	if (o->icmp_from.family)
		text_add(&t, ", says %s", ADDR_STRING(&o->icmp_from));
}

static void judge_reach(
	const struct conform_cluster *c, const struct conform_outcome *o, struct conform_check *k)
{
	char text[128], source[ADDR_TEXT] = "";
	if (!o->answered) {
		k->is_unanswered = !*o->error;
		format_error(o, text);
		conform_check_set(k, CONFORM_FAILED, "%s", text);
		return;
	}
	if (o->source.family)
		addr_format(&o->source, source);
	bool good = is_expected_source(c, &k->t, &o->source);
	conform_check_set(k, good ? CONFORM_OK : CONFORM_FAILED, "%s%s%s in %.2f ms",
		good ? "one" : "an answer", good || !*source ? "" : " to ", good ? "" : source,
		(double)o->rtt_us / 1000.0);
}

static void judge_too_big(const struct conform_outcome *o, struct conform_check *k)
{
	char text[128];
	uint32_t least = k->family == 6 ? 1280 : 68;
	bool good = strcmp(o->error, "EMSGSIZE") == 0 && o->path_mtu >= least &&
		    o->path_mtu <= k->t.link_mtu;
	format_error(o, text);
	conform_check_set(
		k, good ? CONFORM_OK : CONFORM_FAILED, "%s", o->answered ? "an answer" : text);
}

void conform_judge(
	const struct conform_cluster *c, const struct conform_outcome *o, struct conform_check *k)
{
	if (k->kind == CONFORM_TOO_BIG)
		judge_too_big(o, k);
	else
		judge_reach(c, o, k);
}

void conform_judge_heard(
	const struct conform_cluster *c, const struct conform_heard *h, struct conform_check *k)
{
	if (!h->count) {
		conform_check_set(k, k->kind == CONFORM_REPEL ? CONFORM_OK : CONFORM_FAILED,
			"nothing arrived");
		return;
	}
	bool good = k->kind == CONFORM_ARRIVE && is_expected_source(c, &k->t, &h->source);
	conform_check_set(k, good ? CONFORM_OK : CONFORM_FAILED, "it arrived from %s",
		h->source.family ? ADDR_STRING(&h->source) : "somebody");
}

void conform_judge_untried(bool is_lost, const char *problem, struct conform_check *k)
{
	conform_check_set(
		k, is_lost ? CONFORM_SKIPPED : CONFORM_FAILED, "not tried: %.280s", problem);
}
