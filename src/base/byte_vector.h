// Bytes: a vector of bytes whose memory is of the pool (base/pool.h).
//
// Not std::vector with PoolAllocator: libstdc++ copies, moves and grows that byte by byte, for any
// allocator but its own. A message of 1 KiB took a microsecond for each copy.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <type_traits>
#include <utility>

#include "base/pool.h"

namespace scalio {

// As std::vector<std::byte>, as far as it goes: iterators and references end where its do, a range
// that is inserted is not of its own, and one that has been moved from is empty.
class Bytes {
 public:
  using value_type = std::byte;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using reference = std::byte&;
  using const_reference = const std::byte&;
  using pointer = std::byte*;
  using const_pointer = const std::byte*;
  using iterator = std::byte*;
  using const_iterator = const std::byte*;

  Bytes() noexcept = default;
  explicit Bytes(std::size_t size, std::byte value = std::byte{}) { resize(size, value); }
  template <std::contiguous_iterator I>
    requires std::is_same_v<std::iter_value_t<I>, std::byte>
  Bytes(I first, I last) {
    insert(end(), first, last);
  }
  Bytes(std::initializer_list<std::byte> bytes) : Bytes(bytes.begin(), bytes.end()) {}
  Bytes(const Bytes& from) : Bytes(from.begin(), from.end()) {}
  Bytes(Bytes&& from) noexcept { swap(from); }
  ~Bytes() { release(); }
  Bytes& operator=(const Bytes& from) {
    if (this != &from) assign(from.begin(), from.end());
    return *this;
  }
  Bytes& operator=(Bytes&& from) noexcept {
    Bytes(std::move(from)).swap(*this);
    return *this;
  }

  template <std::contiguous_iterator I>
    requires std::is_same_v<std::iter_value_t<I>, std::byte>
  void assign(I first, I last) {
    clear();
    insert(end(), first, last);
  }
  void assign(std::size_t size, std::byte value) {
    clear();
    resize(size, value);
  }
  template <std::contiguous_iterator I>
    requires std::is_same_v<std::iter_value_t<I>, std::byte>
  iterator insert(const_iterator at, I first, I last) {
    const auto size = static_cast<std::size_t>(last - first);
    const iterator place = open(at, size);
    if (size > 0) std::memcpy(place, std::to_address(first), size);
    return place;
  }
  iterator insert(const_iterator at, std::size_t size, std::byte value) {
    const iterator place = open(at, size);
    std::fill_n(place, size, value);
    return place;
  }
  void push_back(std::byte value) { *open(end(), 1) = value; }
  void pop_back() { --size_; }
  iterator erase(const_iterator first, const_iterator last) {
    const iterator place = data_ + (first - data_);
    if (last != end()) std::memmove(place, last, static_cast<std::size_t>(end() - last));
    size_ -= static_cast<std::size_t>(last - first);
    return place;
  }
  void resize(std::size_t size, std::byte value = std::byte{}) {
    if (size > size_) insert(end(), size - size_, value);
    size_ = size;
  }
  void reserve(std::size_t capacity) {
    if (capacity > capacity_) grow(capacity);
  }
  void clear() noexcept { size_ = 0; }
  void shrink_to_fit() {
    if (size_ < capacity_) Bytes(*this).swap(*this);
  }
  void swap(Bytes& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  std::size_t size() const noexcept { return size_; }
  std::size_t capacity() const noexcept { return capacity_; }
  bool empty() const noexcept { return size_ == 0; }
  std::byte* data() noexcept { return data_; }
  const std::byte* data() const noexcept { return data_; }
  iterator begin() noexcept { return data_; }
  iterator end() noexcept { return data_ + size_; }
  const_iterator begin() const noexcept { return data_; }
  const_iterator end() const noexcept { return data_ + size_; }
  std::byte& operator[](std::size_t i) { return data_[i]; }
  const std::byte& operator[](std::size_t i) const { return data_[i]; }
  std::byte& front() { return data_[0]; }
  const std::byte& front() const { return data_[0]; }
  std::byte& back() { return data_[size_ - 1]; }
  const std::byte& back() const { return data_[size_ - 1]; }

  friend bool operator==(const Bytes& a, const Bytes& b) {
    return a.size_ == b.size_ && (a.size_ == 0 || std::memcmp(a.data_, b.data_, a.size_) == 0);
  }
  friend auto operator<=>(const Bytes& a, const Bytes& b) {
    return std::lexicographical_compare_three_way(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  // Makes room for so many bytes there, which are not set yet.
  iterator open(const_iterator at, std::size_t size) {
    const std::ptrdiff_t before = at - data_;
    if (size > capacity_ - size_) grow(std::max(size_ + size, 2 * capacity_));
    const iterator place = data_ + before;
    if (place != end()) std::memmove(place + size, place, static_cast<std::size_t>(end() - place));
    size_ += size;
    return place;
  }
  // The pool gives whole units.
  void grow(std::size_t least) {
    const std::size_t capacity = (least + pool::kUnit - 1) / pool::kUnit * pool::kUnit;
    auto* const data = static_cast<std::byte*>(pool::take(capacity));
    if (size_ > 0) std::memcpy(data, data_, size_);
    release();
    data_ = data;
    capacity_ = capacity;
  }
  void release() noexcept {
    if (data_ != nullptr) pool::give_back(data_, capacity_);
  }

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace scalio
