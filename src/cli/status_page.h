// The page that `scalio serve --metrics` shows people: status_page.html, which the build makes a
// constant.
#pragma once

#include <string_view>

namespace scalio::cli {

extern const std::string_view kStatusPage;

}  // namespace scalio::cli
