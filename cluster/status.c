/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status document of an agent. It is written by one agent and read by roostctl and by agents of
 * any version, so unknown keys are passed over and most keys may be absent; what must be there is
 * what tells agents apart (three UUIDs) and the heartbeat. Texts come out cleaned and cut, as they
 * are shown on terminals.
 *
 * Numbers of addresses saturate at 2^64-1, and JSON's integers end at 2^63-1: that value stands for
 * "more than can be said" and is read back as such.
 */
#include "cluster/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

static void put(json_t *object, const char *key, json_t *value)
{
	(void)json_object_set_new(object, key, value); /* cannot fail: memory never does */
}

static json_t *text_value(const char *s)
{
	char clean[512];
	(void)json_clean(clean, sizeof(clean), s);
	return json_string(clean);
}

static json_t *number_value(uint64_t v)
{
	return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

static json_t *format_block(const struct status_block *b)
{
	char cidr[CIDR_TEXT], pool[CIDR_TEXT];
	cidr_format(&b->cidr, cidr);
	cidr_format(&b->pool, pool);
	json_t *o = json_object();
	put(o, "cidr", json_string(cidr));
	put(o, "pool", json_string(pool));
	put(o, "used", number_value(b->used));
	put(o, "cooling", number_value(b->cooling));
	put(o, "reserved", number_value(b->reserved));
	put(o, "quarantined", number_value(b->quarantined));
	put(o, "free", number_value(b->free));
	put(o, "draining", json_boolean(b->draining));
	return o;
}

json_t *status_format(const struct status *s)
{
	char heartbeat[32];
	boot_format_time(s->heartbeat_s, heartbeat);
	json_t *o = json_object();
	put(o, "installation", text_value(s->installation));
	put(o, "instance", text_value(s->instance));
	put(o, "boot", text_value(s->boot));
	put(o, "heartbeat", json_string(heartbeat));
	put(o, "heartbeatSeconds",
		json_integer(s->interval_s ? s->interval_s : STATUS_HEARTBEAT_S));
	put(o, "stopped", json_boolean(s->stopped));
	put(o, "version", text_value(s->version));
	put(o, "bird", text_value(s->bird));
	put(o, "store", text_value(s->store));
	put(o, "exits", text_value(s->exits));
	put(o, "peersUp", json_integer(s->peers_up));
	put(o, "peers", json_integer(s->peers));
	put(o, "tunnels", json_integer(s->tunnels[0]));
	put(o, "tunnels6", json_integer(s->tunnels[1]));
	json_t *problems = json_array();
	for (size_t i = 0; i < s->n_problems; i++)
		(void)json_array_append_new(problems, text_value(s->problems[i]));
	put(o, "problems", problems);
	json_t *blocks = json_array();
	for (size_t i = 0; i < s->n_blocks; i++)
		(void)json_array_append_new(blocks, format_block(&s->blocks[i]));
	put(o, "blocks", blocks);
	return o;
}

/* The form that boot_format_time() writes, nothing else of RFC 3339. */
static bool parse_time(const char *text, int64_t *out)
{
	struct tm tm = {0};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (!end || *end)
		return false;
	int64_t s = timegm(&tm);
	char again[32];
	boot_format_time(s, again); /* strptime() takes more than we write */
	if (strcmp(again, text) != 0)
		return false;
	*out = s;
	return true;
}

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

static int read_id(const json_t *doc, const char *key, char out[STATUS_ID], struct err *e)
{
	const char *text = NULL;
	int r = json_get_string(doc, "", key, &text, e);
	if (r < 0)
		return r;
	if (!text || !status_is_id(text))
		return err_set(e, EBADMSG, "%s is %s", key, text ? "no UUID" : "missing");
	(void)text_copy(out, STATUS_ID, text);
	return 0;
}

static int read_heartbeat(const json_t *doc, int64_t *out, struct err *e)
{
	const char *text = NULL;
	int r = json_get_string(doc, "", "heartbeat", &text, e);
	if (r < 0)
		return r;
	if (!text || !parse_time(text, out))
		return err_set(e, EBADMSG, "heartbeat is %s", text ? "no time" : "missing");
	return 0;
}

static int read_interval(const json_t *doc, uint32_t *out, struct err *e)
{
	int64_t v = STATUS_HEARTBEAT_S;
	int r = json_get_number(doc, "", "heartbeatSeconds", 1, STATUS_HEARTBEAT_MAX_S, &v, e);
	if (r >= 0)
		*out = (uint32_t)v;
	return r < 0 ? r : 0;
}

/* An absent text is empty. */
static int read_text(const json_t *doc, const char *key, char *out, size_t size, struct err *e)
{
	const char *text = "";
	int r = json_get_string(doc, "", key, &text, e);
	if (r >= 0)
		(void)json_clean(out, size, text);
	return r < 0 ? r : 0;
}

static int read_count(
	const json_t *doc, const char *where, const char *key, uint64_t *out, struct err *e)
{
	int64_t v = 0;
	int r = json_get_number(doc, where, key, 0, INT64_MAX, &v, e);
	if (r >= 0)
		*out = v == INT64_MAX ? UINT64_MAX : (uint64_t)v;
	return r < 0 ? r : 0;
}

static int read_small(const json_t *doc, const char *key, uint32_t *out, struct err *e)
{
	int64_t v = 0;
	int r = json_get_number(doc, "", key, 0, UINT32_MAX, &v, e);
	if (r >= 0)
		*out = (uint32_t)v;
	return r < 0 ? r : 0;
}

static int read_cidr(
	const json_t *doc, const char *where, const char *key, struct cidr *out, struct err *e)
{
	const char *text = "";
	int r = json_get_string(doc, where, key, &text, e);
	if (r < 0)
		return r;
	if (cidr_parse(text, out, e) < 0 || cidr_has_host_bits(out))
		return err_set(e, EBADMSG, "%s.%s is no prefix", where, key);
	return 0;
}

static int read_block(const json_t *doc, const char *where, struct status_block *b, struct err *e)
{
	struct {
		const char *key;
		uint64_t *out;
	} counts[] = {
		{"used", &b->used},
		{"cooling", &b->cooling},
		{"reserved", &b->reserved},
		{"quarantined", &b->quarantined},
		{"free", &b->free},
	};
	if (!json_is_object(doc))
		return err_set(e, EBADMSG, "%s is not an object", where);
	int r = read_cidr(doc, where, "cidr", &b->cidr, e);
	if (r == 0)
		r = read_cidr(doc, where, "pool", &b->pool, e);
	for (size_t i = 0; r == 0 && i < sizeof(counts) / sizeof(counts[0]); i++)
		r = read_count(doc, where, counts[i].key, counts[i].out, e);
	if (r == 0)
		r = json_get_bool(doc, where, "draining", &b->draining, e);
	return r < 0 ? r : 0;
}

static int read_blocks(const json_t *doc, struct status *s, struct err *e)
{
	json_t *list = NULL;
	int r = json_get_array(doc, "", "blocks", &list, e);
	if (r <= 0)
		return r;
	size_t n = json_array_size(list);
	s->blocks = n ? mem_new(n, sizeof(*s->blocks)) : NULL;
	for (size_t i = 0; i < n; i++) {
		char where[40];
		(void)snprintf(where, sizeof(where), "blocks[%zu]", i);
		r = read_block(json_array_get(list, i), where, &s->blocks[i], e);
		if (r < 0)
			return r;
		s->n_blocks = i + 1;
	}
	return 0;
}

/* More than there is room for are passed over. */
static int read_problems(const json_t *doc, struct status *s, struct err *e)
{
	json_t *list = NULL;
	int r = json_get_array(doc, "", "problems", &list, e);
	for (size_t i = 0; r > 0 && i < json_array_size(list) && i < STATUS_PROBLEMS; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		if (!text)
			return err_set(e, EBADMSG, "problems[%zu] is not a string", i);
		(void)json_clean(s->problems[i], sizeof(s->problems[i]), text);
		s->n_problems = i + 1;
	}
	return r < 0 ? r : 0;
}

static int read_all(const json_t *doc, struct status *s, struct err *e)
{
	if (!json_is_object(doc))
		return err_set(e, EBADMSG, "not an object");
	int r = read_id(doc, "installation", s->installation, e);
	if (r == 0)
		r = read_id(doc, "instance", s->instance, e);
	if (r == 0)
		r = read_id(doc, "boot", s->boot, e);
	if (r == 0)
		r = read_heartbeat(doc, &s->heartbeat_s, e);
	if (r == 0)
		r = read_interval(doc, &s->interval_s, e);
	if (r == 0)
		r = read_text(doc, "version", s->version, sizeof(s->version), e);
	if (r == 0)
		r = read_text(doc, "bird", s->bird, sizeof(s->bird), e);
	if (r == 0)
		r = read_text(doc, "store", s->store, sizeof(s->store), e);
	if (r == 0)
		r = read_text(doc, "exits", s->exits, sizeof(s->exits), e);
	if (r == 0)
		r = read_small(doc, "peersUp", &s->peers_up, e);
	if (r == 0)
		r = read_small(doc, "peers", &s->peers, e);
	if (r == 0)
		r = read_small(doc, "tunnels", &s->tunnels[0], e);
	if (r == 0)
		r = read_small(doc, "tunnels6", &s->tunnels[1], e);
	if (r == 0)
		r = json_get_bool(doc, "", "stopped", &s->stopped, e);
	if (r >= 0)
		r = read_problems(doc, s, e);
	return r == 0 ? read_blocks(doc, s, e) : r;
}

int status_parse(const char *text, struct status *out, struct err *e)
{
	struct status s = {0};
	CLEANUP_JSON json_t *doc = NULL;
	int r = text ? json_parse(text, strlen(text), &doc, e)
		     : err_set(e, EBADMSG, "the document is too large");
	if (r == 0)
		r = read_all(doc, &s, e);
	if (r < 0) {
		status_done(&s);
		return r;
	}
	*out = s;
	return 0;
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
