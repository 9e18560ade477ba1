/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status document of an agent. It is written by one agent and read by roostctl and by agents of
 * any version, so unknown keys are passed over and most keys may be absent; what must be there is
 * what tells agents apart (three UUIDs) and the heartbeat. Texts come out cleaned and cut, as they
 * are shown on terminals.
 *
 * Numbers of addresses saturate at 2^64-1 (schema_count). Problems are told as far as there is room;
 * how many there are is told always.
 */
#include "cluster/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "ipam/pool.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

bool status_is_id(const char *s)
{
	if (strlen(s) != STATUS_ID - 1)
		return false;
	for (size_t i = 0; i < STATUS_ID - 1; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? s[i] != '-' : text_hex_digit(s[i]) < 0)
			return false;
	}
	return true;
}

void status_make_id(char out[STATUS_ID])
{
	uint8_t b[16];
	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		err_abort("the kernel gives no random numbers");
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* RFC 9562, 5.4 */
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	(void)snprintf(out, STATUS_ID,
		"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		b[15]);
}

static int status_read_id(const struct schema_at *at, const char *text, void *out)
{
	if (!status_is_id(text))
		return schema_refuse(at, EBADMSG, "is no UUID");
	(void)text_copy(out, at->m->size, text);
	return 0;
}

static json_t *status_write_id(const struct schema_member *m, const void *in)
{
	(void)m;
	return json_of_text(in);
}

static int status_read_time(const struct schema_at *at, const char *text, void *out)
{
	return boot_parse_time(text, out) ? 0 : schema_refuse(at, EBADMSG, "is no time");
}

static json_t *status_write_time(const struct schema_member *m, const void *in)
{
	char text[32];
	(void)m;
	boot_format_time(*(const int64_t *)in, text);
	return json_string(text);
}

/* Agents that do not know the member have as many as they tell. */
static int status_fill_problem_count(const struct schema_at *at, void *out)
{
	(void)at;
	struct status *s = out;
	if (s->problem_count < s->n_problems)
		s->problem_count = (uint32_t)s->n_problems;
	return 0;
}

/* Sums of the blocks, for those who see the document as a line of a table. */
static json_t *status_write_used(const struct schema_member *m, const void *in)
{
	const struct status *s = in;
	uint64_t n = 0;
	(void)m;
	for (size_t i = 0; i < s->n_blocks; i++)
		n = pool_sum(n, s->blocks[i].used);
	return json_of_number(n);
}

static json_t *status_write_free(const struct schema_member *m, const void *in)
{
	const struct status *s = in;
	uint64_t n = 0;
	(void)m;
	for (size_t i = 0; i < s->n_blocks; i++)
		n = s->blocks[i].draining ? n : pool_sum(n, s->blocks[i].free);
	return json_of_number(n);
}

const struct schema_type status_id = {.parse = status_read_id, .write = status_write_id};
static const struct schema_type moment = {.parse = status_read_time, .write = status_write_time};

#define BLOCK(field) SCHEMA_AT(struct status_block, field)
static const struct schema_member block_members[] = {
	{"cidr", &schema_prefix, BLOCK(cidr), .flags = SCHEMA_ALWAYS},
	{"pool", &schema_prefix, BLOCK(pool), .flags = SCHEMA_ALWAYS},
	{"used", &schema_count, BLOCK(used)},
	{"cooling", &schema_count, BLOCK(cooling)},
	{"reserved", &schema_count, BLOCK(reserved)},
	{"quarantined", &schema_count, BLOCK(quarantined)},
	{"free", &schema_count, BLOCK(free)},
	{"draining", &schema_bool, BLOCK(draining)},
};
static const struct schema block = SCHEMA_OF(block_members);

#define DOWN(field) SCHEMA_AT(struct status_down, field)
static const struct schema_member down_members[] = {
	{"peer", &schema_addr, DOWN(peer), .flags = SCHEMA_ALWAYS},
	{"node", &schema_text, DOWN(node)},
	{"since", &moment, DOWN(since_s), .flags = SCHEMA_REQUIRED},
	{"bird", &schema_text, DOWN(bird)},
	{"reason", &schema_text, DOWN(reason)},
};
static const struct schema down = SCHEMA_OF(down_members);

#define AT(field) SCHEMA_AT(struct status, field)
static const struct schema_member members[] = {
	{"installation", &status_id, AT(installation), .flags = SCHEMA_REQUIRED},
	{"instance", &status_id, AT(instance), .flags = SCHEMA_REQUIRED},
	{"boot", &status_id, AT(boot), .flags = SCHEMA_REQUIRED},
	{"machine", &schema_text, AT(machine)},
	{"namespace", &schema_text, AT(netns)},
	{"host", &schema_text, AT(host)},
	{"nodeUid", &schema_text, AT(node_uid)},
	{"heartbeat", &moment, AT(heartbeat_s), .flags = SCHEMA_REQUIRED},
	{"heartbeatSeconds", &schema_number, AT(interval_s), .min = 1,
		.max = STATUS_HEARTBEAT_MAX_S},
	{"stopped", &schema_bool, AT(stopped)},
	{"version", &schema_text, AT(version)},
	{"bird", &schema_text, AT(bird)},
	{"store", &schema_text, AT(store)},
	{"exits", &schema_text, AT(exits)},
	{"peersUp", &schema_number, AT(peers_up)},
	{"peers", &schema_number, AT(peers)},
	{"peersDown", &schema_list, AT(down), .count = offsetof(struct status, n_down),
		.max = STATUS_DOWN, .flags = SCHEMA_CUT,
		.of = SCHEMA_ELEMENT(&schema_object, sizeof(struct status_down), .schema = &down)},
	{"tunnels", &schema_number, AT(tunnels[IPV4])},
	{"tunnels6", &schema_number, AT(tunnels[IPV6])},
	{"problems", &schema_list, AT(problems), .count = offsetof(struct status, n_problems),
		.max = STATUS_PROBLEMS, .flags = SCHEMA_CUT,
		.of = SCHEMA_ELEMENT(&schema_text, sizeof(((struct status *)0)->problems[0]))},
	{"problemCount", &schema_number, AT(problem_count)},
	{.type = SCHEMA_READER(status_fill_problem_count)},
	{.key = "addressesUsed", .type = &(const struct schema_type){.write = status_write_used}},
	{.key = "addressesFree", .type = &(const struct schema_type){.write = status_write_free}},
	{"blocks", &schema_heap, SCHEMA_POINTER(struct status, blocks),
		.count = offsetof(struct status, n_blocks),
		.of = SCHEMA_ELEMENT(
			&schema_object, sizeof(struct status_block), .schema = &block)},
};
static const struct schema document = SCHEMA_OF(members);

const struct schema *status_schema(void)
{
	return &document;
}

json_t *status_format(const struct status *s)
{
	struct status told = *s;
	if (told.interval_s == 0)
		told.interval_s = STATUS_HEARTBEAT_S;
	return schema_write(&document, &told);
}

int status_parse(const char *text, struct status *out, struct err *e)
{
	struct status s = {.interval_s = STATUS_HEARTBEAT_S};
	int r = schema_parse(&document, text, &s, e);
	if (r < 0)
		status_done(&s);
	else
		*out = s;
	return r;
}

json_t *status_format_removal(void)
{
	char nonce[STATUS_ID];
	status_make_id(nonce);
	json_t *doc = json_object();
	json_put(doc, "removal", json_string(nonce));
	return doc;
}

bool status_is_removal(const char *text)
{
	struct err ignored; /* an agent's, or anybody's */
	CLEANUP_JSON json_t *doc = NULL;
	return json_parse(text, strlen(text), &doc, &ignored) == 0 &&
	       json_object_get(doc, "removal");
}

void status_done(struct status *s)
{
	free(s->blocks);
	*s = (struct status){0};
}

/* A heartbeat from the future is as good as none: the clocks differ, or one was set back. */
bool status_is_live(const struct status *s, int64_t now_wall_s)
{
	int64_t age = now_wall_s - s->heartbeat_s;
	int64_t interval = s->interval_s ? s->interval_s : STATUS_HEARTBEAT_S;
	int64_t stale = interval * 7 / 2;
	return !s->stopped && age < stale && age > -stale;
}
