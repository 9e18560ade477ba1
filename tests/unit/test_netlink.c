/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netlink messages as bytes, against what linux/netlink.h says of them, and trains whose lengths lie.
 */
#include "tests/unit/check.h"

#include <arpa/inet.h>
#include <string.h>

#include "lib/netlink.h"

#define TYPE 16

struct room {
	_Alignas(NLMSG_ALIGNTO) char bytes[512];
};

/* The room was used before: nothing of that may be seen in a message. */
static struct nlmsghdr *begun(struct room *room)
{
	memset(room, 0xaa, sizeof(*room));
	return netlink_begin(room->bytes, TYPE, NLM_F_ACK);
}

TEST(a_message_is_its_header_the_protocols_and_padded_attributes)
{
	struct room room;
	struct nlmsghdr *m = begun(&room);
	uint8_t *header = netlink_put_header(m, 2);
	header[0] = 7;
	netlink_put_text(m, 3, "abcd");
	netlink_put_u8(m, 4, 9);
	static const uint8_t attributes[] = {
		7,
		0,
		0,
		0, /* the header, padded */
		9,
		0,
		3,
		0,
		'a',
		'b',
		'c',
		'd',
		0,
		0,
		0,
		0, /* length without the padding */
		5,
		0,
		4,
		0,
		9,
		0,
		0,
		0,
	};
	assert_int_equal(m->nlmsg_len, NLMSG_HDRLEN + sizeof(attributes));
	assert_int_equal(m->nlmsg_type, TYPE);
	assert_int_equal(m->nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
	assert_memory_equal(NLMSG_DATA(m), attributes, sizeof(attributes));
}

TEST(values_are_read_as_they_were_put)
{
	struct room room;
	struct nlmsghdr *m = begun(&room);
	const uint64_t wide = 0x0102030405060708;
	(void)netlink_put_header(m, 4);
	netlink_put_u8(m, 1, 0xfe);
	netlink_put_u32(m, 2, 0xfedcba98);
	netlink_put_be32(m, 3, 0xfedcba98);
	netlink_put_u64(m, 4, wide);
	netlink_put_text(m, 5, "roost0");
	uint16_t expected = 1;
	const struct nlattr *attr;
	NETLINK_EACH_ATTR (attr, m, 4) {
		assert_int_equal(netlink_type(attr), expected++);
		if (netlink_type(attr) == 1)
			assert_int_equal(netlink_u8(attr), 0xfe);
		if (netlink_type(attr) == 2)
			assert_int_equal(netlink_u32(attr), 0xfedcba98);
		if (netlink_type(attr) == 3) {
			assert_int_equal(netlink_be32(attr), 0xfedcba98);
			assert_int_equal(netlink_u32(attr), htonl(0xfedcba98));
		}
		if (netlink_type(attr) == 4)
			assert_memory_equal(netlink_data(attr), &wide, sizeof(wide));
		char cut[4];
		if (netlink_type(attr) != 5)
			continue;
		netlink_copy_text(cut, sizeof(cut), attr);
		assert_string_equal(cut, "roo");
	}
	assert_int_equal(expected, 6);
}

TEST(a_nest_holds_what_is_put_between_its_ends)
{
	struct room room;
	struct nlmsghdr *m = begun(&room);
	struct nlattr *outer = netlink_nest(m, 1);
	netlink_put_u32(m, 10, 1);
	struct nlattr *inner = netlink_nest(m, 11);
	netlink_nest_end(m, inner);
	netlink_nest_end(m, outer);
	netlink_put_u32(m, 2, 2);
	assert_int_equal(outer->nla_type, 1 | NLA_F_NESTED);
	assert_int_equal(netlink_type(outer), 1);
	assert_int_equal(netlink_size(outer), 12);
	assert_int_equal(netlink_size(inner), 0);
	size_t inside = 0, beside = 0;
	const struct nlattr *attr;
	NETLINK_EACH_NESTED (attr, outer)
		inside++;
	NETLINK_EACH_NESTED (attr, inner)
		fail();
	NETLINK_EACH_ATTR (attr, m, 0)
		beside++;
	assert_int_equal(inside, 2);
	assert_int_equal(beside, 2);
}

static size_t messages(const void *datagram, size_t size)
{
	size_t n = 0;
	const struct nlmsghdr *m;
	NETLINK_EACH(m, datagram, size)
	n++;
	return n;
}

TEST(a_datagram_ends_before_the_first_message_that_is_not_whole)
{
	struct room room = {0};
	struct nlmsghdr *first = netlink_begin(room.bytes, TYPE, 0);
	netlink_put_u8(first, 1, 1); /* 21 bytes and padding */
	size_t one = NLMSG_ALIGN(first->nlmsg_len);
	struct nlmsghdr *second = netlink_begin(room.bytes + one, TYPE, 0);
	assert_int_equal(messages(room.bytes, 0), 0);
	assert_int_equal(messages(room.bytes, NLMSG_HDRLEN - 1), 0);
	assert_int_equal(messages(room.bytes, one - 4), 0);
	assert_int_equal(messages(room.bytes, one), 1);
	assert_int_equal(messages(room.bytes, one + NLMSG_HDRLEN - 1), 1);
	assert_int_equal(messages(room.bytes, one + NLMSG_HDRLEN), 2);
	static const uint32_t lies[] = {0, 1, NLMSG_HDRLEN - 1, NLMSG_HDRLEN + 1, UINT32_MAX};
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		second->nlmsg_len = lies[i];
		assert_int_equal(messages(room.bytes, one + NLMSG_HDRLEN), 1);
	}
}

TEST(an_attribute_whose_length_lies_ends_the_list)
{
	static const uint16_t lies[] = {0, 3, 9, UINT16_MAX};
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		struct room room;
		struct nlmsghdr *m = begun(&room);
		netlink_put_u32(m, 1, 0);
		struct nlattr *last = netlink_nest(m, 2);
		netlink_put_u32(m, 3, 0);
		netlink_nest_end(m, last);
		struct nlattr *in = (void *)((char *)last + NLA_HDRLEN);
		in->nla_len = lies[i];
		const struct nlattr *attr;
		NETLINK_EACH_NESTED (attr, last)
			fail();
		last->nla_len = lies[i] == 9 ? 13 : lies[i];
		size_t n = 0;
		NETLINK_EACH_ATTR (attr, m, 0)
			n++;
		assert_int_equal(n, 1);
		NETLINK_EACH_ATTR (attr, m, 1000)
			fail();
	}
}

TEST(what_is_too_short_reads_as_if_zeros_followed)
{
	struct room room;
	struct nlmsghdr *m = begun(&room);
	static const uint8_t zeros[64];
	assert_memory_equal(netlink_header(m, sizeof(zeros)), zeros, sizeof(zeros));
	netlink_put_u8(m, 1, 0x7f);
	netlink_put(m, 2, NULL, 0);
	memset((char *)m + m->nlmsg_len, 0xaa, 8);
	const struct nlattr *attr = netlink_next_of(m, 0, NULL);
	assert_int_equal(netlink_u16(attr), htons(0x7f00));
	attr = netlink_next_of(m, 0, attr);
	assert_int_equal(netlink_u8(attr), 0);
	assert_int_equal(netlink_u32(attr), 0);
	struct addr a = {0};
	netlink_copy_addr(&a, attr);
	assert_int_equal(a.family, 0);
}

static void sentence_of(uint16_t flags, uint32_t copied, char *out, size_t size)
{
	struct room room;
	struct nlmsghdr *m = begun(&room);
	m->nlmsg_flags = flags;
	struct nlmsgerr *status = netlink_put_header(m, sizeof(*status) + 8);
	m->nlmsg_len -= flags & NLM_F_CAPPED ? 8 : 0;
	status->error = -17;
	status->msg.nlmsg_len = copied;
	netlink_put_text(m, NLMSGERR_ATTR_MSG, "so it is");
	assert_int_equal(netlink_error(m), 17);
	netlink_sentence(m, out, size);
}

TEST(the_kernels_sentence_stands_behind_the_message_it_copies)
{
	char text[64];
	sentence_of(NLM_F_ACK_TLVS | NLM_F_CAPPED, 24, text, sizeof(text));
	assert_string_equal(text, " (so it is)");
	sentence_of(NLM_F_ACK_TLVS, 24, text, sizeof(text));
	assert_string_equal(text, " (so it is)");
	sentence_of(NLM_F_ACK_TLVS, 4000000000u, text, sizeof(text));
	assert_string_equal(text, "");
	sentence_of(NLM_F_CAPPED, 24, text, sizeof(text));
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_its_header_the_protocols_and_padded_attributes),
		cmocka_unit_test(values_are_read_as_they_were_put),
		cmocka_unit_test(a_nest_holds_what_is_put_between_its_ends),
		cmocka_unit_test(a_datagram_ends_before_the_first_message_that_is_not_whole),
		cmocka_unit_test(an_attribute_whose_length_lies_ends_the_list),
		cmocka_unit_test(what_is_too_short_reads_as_if_zeros_followed),
		cmocka_unit_test(the_kernels_sentence_stands_behind_the_message_it_copies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
