// Boost's single-producer single-consumer queue, one message or a batch at a time.

#include "race.h"

#include <array>
#include <boost/lockfree/spsc_queue.hpp>
#include <new>

namespace
{

constexpr std::size_t MESSAGE_BYTES_IN_ALL = 256 * 1024;

template <std::size_t Bytes> struct Peer {
    using Message = std::array<std::uint8_t, Bytes>;
    using Queue =
        boost::lockfree::spsc_queue<Message,
                                    boost::lockfree::capacity<MESSAGE_BYTES_IN_ALL / Bytes>>;

    static void create(void *queue, std::uint32_t)
    {
        new (queue) Queue();
    }

    static std::uint32_t push(void *queue, const void *messages, std::uint32_t count)
    {
        auto *from = static_cast<const Message *>(messages);

        return static_cast<std::uint32_t>(count == 1
                                              ? static_cast<Queue *>(queue)->push(*from)
                                              : static_cast<Queue *>(queue)->push(from, count));
    }

    static std::uint32_t pop(void *queue, void *room, std::uint32_t count, race_taken *ret)
    {
        auto *to = static_cast<Message *>(room);

        *ret = {to->data(), Bytes};
        return static_cast<std::uint32_t>(count == 1 ? static_cast<Queue *>(queue)->pop(*to)
                                                     : static_cast<Queue *>(queue)->pop(to, count));
    }

    static constexpr racer table = {sizeof(Queue), create, push, pop};
};

template <std::size_t Bytes> constexpr racer Peer<Bytes>::table;

} // namespace

extern "C" const racer *race_peer(std::uint32_t message_bytes)
{
    return message_bytes == 64 ? &Peer<64>::table : &Peer<256>::table;
}
