/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <errno.h>
#include <stdio.h>

#include "agent/bird/ctl.h"
#include "agent/bird/reply.h"
#include "lib/mem.h"

/* Feeds in pieces of step bytes; the result of the last call. */
static int feed(struct bird_reply *r, const char *bytes, size_t n, size_t step)
{
	int got = 0;
	for (size_t at = 0; at < n && got == 0;) {
		size_t used = 0;
		got = bird_reply_feed(r, bytes + at, n - at < step ? n - at : step, &used);
		assert_true(used > 0);
		at += used;
	}
	return got;
}

TEST(a_reply_is_the_same_in_whatever_pieces_it_comes)
{
	static const char reply[] = "1000-BIRD 2.0.12\n 2nd line\n+noise\n1011-Router\n0013 up\n";
	for (size_t step = 1; step <= sizeof(reply); step++) {
		struct bird_reply r;
		bird_reply_init(&r);
		assert_int_equal(feed(&r, reply, sizeof(reply) - 1, step), 1);
		assert_int_equal(r.code, 13);
		assert_string_equal(
			r.text, "1000 BIRD 2.0.12\n1000 2nd line\n1011 Router\n0013 up\n");
		bird_reply_done(&r);
	}
}

TEST(the_next_reply_begins_where_one_ended)
{
	static const char two[] = "0000 \n8003 No protocols match\n";
	struct bird_reply r;
	size_t used = 0;
	bird_reply_init(&r);
	assert_int_equal(bird_reply_feed(&r, two, sizeof(two) - 1, &used), 1);
	assert_int_equal(used, 6);
	assert_string_equal(r.text, "0000 \n");
	assert_int_equal(bird_reply_feed(&r, two + 6, sizeof(two) - 7, &used), 1);
	assert_int_equal(r.code, 8003);
	assert_string_equal(r.text, "8003 No protocols match\n");
	bird_reply_done(&r);
}

TEST(other_words_are_refused)
{
	static const char *const table[] = {"\n", " continued first\n", "HTTP/1.1 200 OK\n",
		"001 x\n", "00011\n", "0001:x\n", "-001 x\n", "0001\n", "\x80\x80\x80\x80 \n"};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct bird_reply r;
		bird_reply_init(&r);
		assert_int_equal(feed(&r, table[i], strlen(table[i]), 99), -EBADMSG);
		bird_reply_done(&r);
	}
}

TEST(what_is_too_much_is_cut_and_the_end_still_found)
{
	struct bird_reply r;
	bird_reply_init(&r);
	char line[3001];
	(void)memset(line, 'x', sizeof(line));
	memcpy(line, "1002-", 5);
	line[3000] = '\n';
	for (size_t i = 0; i < 10000; i++)
		assert_int_equal(feed(&r, line, sizeof(line), 777), 0);
	assert_int_equal(feed(&r, "0000 end\n", 9, 9), 1);
	assert_int_equal(r.code, 0);
	assert_true(r.len <= BIRD_CTL_REPLY_MAX && r.len > BIRD_CTL_REPLY_MAX - 2048);
	assert_int_equal(strlen(r.text), r.len);
	bird_reply_done(&r);
}

TEST(the_status_says_what_is_under_way)
{
	static const struct {
		const char *text;
		bool recovering, reconfiguring, stopping;
	} table[] = {
		{"1000 BIRD 2.0.12\n0013 Daemon is up and running\n", false, false, false},
		{"0013 Reconfiguration in progress\n", false, true, false},
		{"0013 Shutdown in progress\n", false, false, true},
		{"0024 Graceful restart recovery in progress\n0024 Waiting for 2 channels to "
		 "recover\n"
		 "0013 Daemon is up and running\n",
			true, false, false},
		{"1000 Reconfiguration in progress\n", false, false, false},
		{"", false, false, false},
		{"00", false, false, false},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct bird_reply_status s;
		bird_reply_status(table[i].text, &s);
		assert_int_equal(s.recovering, table[i].recovering);
		assert_int_equal(s.reconfiguring, table[i].reconfiguring);
		assert_int_equal(s.stopping, table[i].stopping);
	}
}

TEST(the_sentence_is_the_last_line)
{
	char out[24];
	bird_reply_sentence("0002 Reading\n8002 a:1:2 bad\n", out, sizeof(out));
	assert_string_equal(out, "a:1:2 bad");
	bird_reply_sentence("8002 a sentence that is too long for it\n", out, sizeof(out));
	assert_string_equal(out, "a sentence that is too ");
	bird_reply_sentence("", out, sizeof(out));
	assert_string_equal(out, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reply_is_the_same_in_whatever_pieces_it_comes),
		cmocka_unit_test(the_next_reply_begins_where_one_ended),
		cmocka_unit_test(other_words_are_refused),
		cmocka_unit_test(what_is_too_much_is_cut_and_the_end_still_found),
		cmocka_unit_test(the_status_says_what_is_under_way),
		cmocka_unit_test(the_sentence_is_the_last_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
