const cart = "cart/guest";
const total = document.getElementById("total");

async function show(response) {
  const answer = await response.json();
  total.value = response.ok ? answer.total : answer.error;
}

for (const button of document.querySelectorAll("button[data-sku]")) {
  button.addEventListener("click", async () => {
    const body = JSON.stringify({ sku: button.dataset.sku });
    await show(await fetch(cart, { method: "POST", body }));
  });
}

fetch(cart).then(show);
