/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: what comes from BIRD's control socket, and our own file as an agent finds it. Whatever it is: pieces give the same as the
 * whole, nothing grows beyond its bound, and the text that is handed out has the form that its
 * readers rely on.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/bird/ctl.h"
#include "agent/bird/learned.h"
#include "agent/bird/reply.h"
#include "agent/bird/sessions.h"
#include "lib/mem.h"

/* Each line of a text: four digits, a space, no control character. */
static void check_text(const struct bird_reply *r)
{
	CHECK(r->text && r->len <= BIRD_CTL_REPLY_MAX && strlen(r->text) == r->len);
	size_t column = 0;
	for (const char *c = r->text; *c; c++, column++) {
		if (*c == '\n') {
			CHECK(column >= 5 && column < BIRD_REPLY_LINE + 6);
			column = (size_t)-1;
			continue;
		}
		CHECK((unsigned char)*c >= ' ');
		CHECK(column >= 4 || (*c >= '0' && *c <= '9'));
		CHECK(column != 4 || *c == ' ');
	}
	CHECK(column == 0);
}

/* The same answer again says nothing new, and what is shown of it is bounded. */
static void use_sessions(const char *text)
{
	struct bird_sessions s = {0};
	struct bird_session *last = NULL;
	(void)bird_sessions_take(&s, text, 1000, 1000 + 1000);
	for (size_t i = 0; i < s.n; i++) {
		char words[BIRD_REASON + 24];
		CHECK(strncmp(s.all[i].name, "roost_", 6) == 0);
		CHECK(s.all[i].up == (s.all[i].since_ms == 0));
		CHECK(!s.all[i].up || s.all[i].fault == BIRD_FAULT_NONE);
		CHECK(!last || strcmp(last->name, s.all[i].name) <= 0);
		bird_sessions_words(&s.all[i], words, sizeof(words));
		CHECK(*words && strlen(words) < sizeof(words));
		last = &s.all[i];
	}
	bird_sessions_done(&s);
}

/* The list is sorted, each block once, whatever answer or file it comes from. */
static void use_learned(const char *text)
{
	struct bird_learned l = {0};
	bird_learned_from_text(&l, text, 1000);
	(void)bird_learned_take(&l, IPV6, text, 2000);
	(void)bird_learned_take(&l, IPV4, text, 100000000);
	for (size_t i = 1; i < l.n; i++)
		CHECK(cidr_compare(&l.blocks[i - 1], &l.blocks[i]) < 0);
	CHECK(!bird_learned_take(&l, IPV4, text, 100000000));
	bird_learned_done(&l);
}

static void use(const struct bird_reply *r)
{
	struct bird_reply_status status;
	char sentence[100];
	check_text(r);
	bird_reply_status(r->text, &status);
	use_sessions(r->text);
	use_learned(r->text);
	const char *at = r->text;
	for (struct cidr c; bird_reply_route(&at, &c);)
		CHECK(c.len <= addr_bits(&c.addr));
	bird_reply_sentence(r->text, sentence, sizeof(sentence));
	CHECK(strlen(sentence) < sizeof(sentence));
}

struct outcome {
	size_t replies, used;
	uint64_t sum;
};

static struct outcome run(const uint8_t *data, size_t size, size_t step)
{
	struct outcome o = {0};
	struct bird_reply r;
	bird_reply_init(&r);
	while (o.used < size) {
		size_t left = size - o.used;
		size_t used = 0;
		int got = bird_reply_feed(
			&r, (const char *)data + o.used, left < step ? left : step, &used);
		CHECK(used > 0 && used <= left);
		o.used += used;
		CHECK(got == 0 || got == 1 || got == -EBADMSG);
		if (got < 0)
			break;
		if (got == 0)
			continue;
		use(&r);
		o.replies++;
		for (const char *c = r.text; *c; c++)
			o.sum = o.sum * 31 + (unsigned char)*c;
	}
	bird_reply_done(&r);
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = mem_new(size + 1, 1);
	memcpy(text, data, size);
	use_learned(text); /* as a file */
	free(text);
	struct outcome whole = run(data, size, size);
	struct outcome pieces = run(data, size, 7);
	CHECK(whole.replies == pieces.replies && whole.used == pieces.used &&
		whole.sum == pieces.sum);
	return 0;
}
