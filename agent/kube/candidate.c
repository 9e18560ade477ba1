/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Node that somebody deletes and whose kubelet registers it again is back within the grace, with another
 * uid; its agent then writes that uid into its status, and it is no candidate any more. A machine that
 * replaces another one has an agent of its own, which may not take the name while the status is of the
 * earlier one, and says so beside it: then the grace is no use, as that machine is known to be another.
 */
#include "agent/kube/candidate.h"

#include <string.h>

#include "lib/text.h"

void candidate_init(struct candidate *c, const char *node, bool replaced, int64_t now_ms)
{
	*c = (struct candidate){.replaced = replaced, .since_ms = now_ms, .look_ms = now_ms};
	(void)text_copy(c->node, sizeof(c->node), node);
}

void candidate_inherit(struct candidate *c, const char *uid, int64_t for_ms)
{
	c->inherited = c->told = true;
	c->since_ms -= for_ms;
	(void)text_copy(c->uid, sizeof(c->uid), uid);
}

/* uid: what its agent says now. */
static void judge_inheritance(struct candidate *c, const char *uid, int64_t now_ms)
{
	if (c->inherited && c->is_agent &&
		strcmp(c->uid, uid) != 0) { /* the Node was back meanwhile */
		c->since_ms = now_ms;
		c->told = false;
	}
	c->inherited = false;
	(void)text_copy(c->uid, sizeof(c->uid), uid);
}

static void read_status(struct candidate *c, const char *text, int64_t now_ms)
{
	struct status s;
	struct err ignored; /* of nobody who can be asked: it counts by its changes alone */
	c->is_agent = text && !status_is_removal(text);
	c->silence_ms = (int64_t)STATUS_HEARTBEAT_S * 3500;
	c->in_kubernetes = false;
	c->host[0] = '\0';
	if (!c->is_agent || status_parse(text, &s, &ignored) < 0)
		return;
	judge_inheritance(c, s.node_uid, now_ms);
	c->silence_ms = (int64_t)s.interval_s * 3500;
	c->in_kubernetes = *s.node_uid;
	(void)text_copy(c->host, sizeof(c->host), s.host);
	status_done(&s);
}

void candidate_note(struct candidate *c, const char *text, int64_t revision, int64_t now_ms)
{
	bool changed = !c->looked || revision != c->revision;
	c->wrote |= c->looked && changed && text;
	if (changed)
		c->unchanged_ms = now_ms;
	c->noted_ms = now_ms;
	c->looked = true;
	c->revision = revision;
	read_status(c, text, now_ms);
}

/* As far as somebody looked: between two looks it may have written. */
static bool candidate_is_silent(const struct candidate *c)
{
	return c->noted_ms - c->unchanged_ms >= c->silence_ms;
}

bool candidate_is_believed(const struct candidate *c)
{
	return !c->replaced || c->told || candidate_is_silent(c);
}

enum candidate_verdict candidate_judge(const struct candidate *c, int64_t grace_ms, int64_t now_ms)
{
	bool silent = candidate_is_silent(c);
	bool over = now_ms - c->since_ms >= grace_ms || (c->replaced && c->has_heir);
	if (grace_ms <= 0 || (c->looked && c->is_agent && !c->in_kubernetes) ||
		(c->looked && !c->is_agent && !c->has_open_blocks))
		return CANDIDATE_STAYS;
	if (!c->looked || !silent)
		return c->looked && c->wrote && c->is_agent ? CANDIDATE_LIVES : CANDIDATE_WAITS;
	return over ? CANDIDATE_GOES : CANDIDATE_WAITS;
}
